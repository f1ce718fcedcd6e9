//! WASI's sockets and files: what was granted and nothing else, with a real server, a real directory, and every way out that a guest
//! can try.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use crate::support::{Gateway, load, one_chain, plugin};

/// What the guest answers to each command.
fn ask(grants: &str, commands: &[String]) -> Vec<String> {
    let gateway = Gateway::start(&one_chain("[\"mime\"]", &plugin("mime", "mime", grants)));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let mut one = |command: &String| {
        let reply = client.message("", &["b@example.org"], &format!("Subject: {command}\r\n\r\nx"));
        reply.trim_start_matches("550 5.7.1 ").to_owned()
    };
    commands.iter().map(&mut one).collect()
}

#[test]
fn sockets_reach_the_very_address_that_was_granted() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, other) = (server.local_addr().unwrap(), other.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut greeting = [0; 6];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(b"welcome\n").unwrap();
    });
    let commands = [
        format!("connect {address}"),
        format!("connect {other}"),
        format!("connect [::1]:{}", address.port()),
        format!("connect 127.0.0.2:{}", address.port()),
        format!("connect [::ffff:127.0.0.1]:{}", other.port()),
        "listen".to_owned(),
        // Not even at the address that may be connected to, nor by UDP to it.
        format!("listen {address}"),
        "listen 0.0.0.0:0".to_owned(),
        "udp".to_owned(),
        format!("udp {address}"),
        "udp-bind 127.0.0.1:0".to_owned(),
        "resolve mx.example.org".to_owned(),
        "resolve localhost".to_owned(),
    ];
    let denied = ask("[]", &commands);
    assert!(
        denied.iter().all(|answer| answer.contains("Error") || answer.contains("Os {") || answer.contains("Custom")),
        "{denied:?}"
    );
    let granted = ask(&format!("[{{ sockets = [\"{address}\"] }}]"), &commands);
    assert_eq!(granted[0], "welcome");
    serving.join().unwrap();
    for answer in &granted[1..] {
        assert!(answer.contains("Os {") || answer.contains("Custom") || answer.contains("Error"), "{granted:?}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let grant = "[{ files = [{ path = \"nowhere/at/all\", as = \"/lists\" }] }]";
    let problem = load(&one_chain("[\"mime\"]", &plugin("mime", "mime", grant))).unwrap_err();
    assert!(problem.contains("nowhere/at/all can't be read: No such file"), "{problem}");
}

#[test]
fn files_are_read_below_the_directory_that_was_granted() {
    let scratch = tempfile::tempdir().unwrap();
    let lists = scratch.path().join("lists");
    std::fs::create_dir_all(lists.join("below")).unwrap();
    std::fs::write(lists.join("a.txt"), "alice\n").unwrap();
    std::fs::write(lists.join("below/b.txt"), "bob\n").unwrap();
    std::fs::write(scratch.path().join("secret"), "secret\n").unwrap();
    symlink("../secret", lists.join("out")).unwrap();
    symlink("/etc/passwd", lists.join("absolute")).unwrap();
    symlink("a.txt", lists.join("within")).unwrap();
    symlink("..", lists.join("above")).unwrap();
    symlink("/proc/self", lists.join("self")).unwrap();
    symlink("circle", lists.join("circle")).unwrap();
    let secret = scratch.path().join("secret").display().to_string();
    let good =
        ["cat /lists/a.txt", "cat /lists/below/b.txt", "cat /lists/below/../a.txt", "cat /lists/within", "list /lists"];
    let good = good.map(str::to_owned);
    let bad = [
        "cat /lists/../secret",
        "cat /lists/below/../../secret",
        "cat /lists/out",
        "cat /lists/absolute",
        "cat /lists/a.txt/",
        "cat /etc/passwd",
        "cat ../secret",
        &format!("cat {secret}"),
        &format!("cat /lists/{secret}"),
        "list /",
        "list /lists/..",
        "cat /lists/above/secret",
        "list /lists/above",
        "cat /lists/self/environ",
        "cat /lists/self/root/etc/passwd",
        "cat /lists/circle",
        "cat /proc/self/environ",
        "cat /proc/self/fd/0",
        "list /proc",
        "list /dev",
        "append /lists/a.txt",
        "truncate /lists/a.txt",
        "link /lists/a.txt /lists/hard",
        "rename /lists/a.txt /lists/below/a.txt",
        "write /lists/above/new",
        "write /lists/new",
        "write /lists/a.txt",
        "rename /lists/a.txt /lists/c.txt",
        "unlink /lists/a.txt",
        "mkdir /lists/new",
    ];
    let bad = bad.map(str::to_owned);
    let grant = format!("[{{ files = [{{ path = {:?}, as = \"/lists\" }}] }}]", lists.display().to_string());
    assert_eq!(ask(&grant, &good), ["alice", "bob", "alice", "alice", "8 entries"]);
    for (command, answer) in bad.iter().zip(ask(&grant, &bad)) {
        assert!(
            answer.contains("Os {") || answer.contains("Custom") || answer.contains("Error"),
            "{command}: {answer}"
        );
    }
    for (command, answer) in good.iter().chain(&bad).zip(ask("[]", &[good.to_vec(), bad.to_vec()].concat())) {
        assert!(
            answer.contains("Os {") || answer.contains("Custom") || answer.contains("Error"),
            "{command}: {answer}"
        );
    }
    assert_eq!(std::fs::read_to_string(lists.join("a.txt")).unwrap(), "alice\n");
    assert_eq!(std::fs::read_dir(&lists).unwrap().count(), 8);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 2);
}

/// Files are descriptors of the process, of which all sessions have so many together.
#[test]
fn an_instance_has_so_many_files_open() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("a.txt"), "alice\n").unwrap();
    let grant = format!("[{{ files = [{{ path = {:?}, as = \"/lists\" }}] }}]", scratch.path().display().to_string());
    let commands = ["open /lists/a.txt 40", "open /lists/a.txt 100", "cat /lists/a.txt"].map(str::to_owned);
    let answers = ask(&grant, &commands);
    assert_eq!(answers[0], "40 open");
    assert!(answers[1].starts_with("451 4.3.0"), "{answers:?}");
    assert_eq!(answers[2], "alice");
}
