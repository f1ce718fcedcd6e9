//! A real name server, nsd, for the whole tree of the DNS: what is not in its zone does not exist.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::program::program;

/// Serves until it is dropped.
pub(crate) struct NameServer {
    pub address: SocketAddr,
    child: Child,
    _files: tempfile::TempDir,
}

impl NameServer {
    /// Serves these records, in the form of a zone file; none where there is no nsd.
    #[track_caller]
    pub(crate) fn start(records: &str) -> Option<Self> {
        let nsd = program("nsd", "nsd")?;
        let files = super::memory();
        let folder = files.path().display();
        let zone = format!(
            "$TTL 60\n. IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60\n. IN NS ns.invalid.\nns.invalid. IN A 127.0.0.1\n{records}\n"
        );
        fs::write(files.path().join("root.zone"), zone).expect("a file");
        // Another program may take the port before nsd does; then nsd ends, and another port is tried.
        for _ in 0..10 {
            let address = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
            let settings = format!(
                "server:\n  ip-address: 127.0.0.1@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{folder}\"\n  \
                 zonelistfile: \"{folder}/zone.list\"\n  pidfile: \"\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  server-count: 1\n\
                 remote-control:\n  control-enable: no\nzone:\n  name: \".\"\n  zonefile: root.zone\n",
                address.port()
            );
            let file = files.path().join("nsd.conf");
            fs::write(&file, settings).expect("a file");
            let mut command = Command::new(&nsd);
            command.arg("-d").arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("nsd runs");
            if answers(address, &mut child) {
                return Some(Self { address, child, _files: files });
            }
            let _ = child.kill();
            child.wait().expect("nsd ends");
        }
        panic!("nsd does not start");
    }

    /// The setting by which a gateway asks this server.
    pub(crate) fn setting(&self) -> String {
        setting(self.address)
    }
}

/// The setting by which a gateway asks a server there.
pub(crate) fn setting(address: SocketAddr) -> String {
    format!("[dns]\nservers = [\"{address}\"]\ntimeout = \"1 s\"\nattempts = 1\n")
}

/// Asks until the server has begun, or has ended.
fn answers(address: SocketAddr, child: &mut Child) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ns\x07invalid\x00\x00\x01\x00\x01";
    for _ in 0..400 {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return false;
        }
        // A port where nobody listens yet is told of by an error at once: wait for the rest of the time anyway.
        let mut answer = [0; 512];
        if socket.send_to(query, address).is_ok() && matches!(socket.recv_from(&mut answer), Ok((12.., _))) {
            return true;
        }
    }
    false
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // nsd ends its other process when it is asked to, not when it is killed.
        if let Ok(id) = i32::try_from(self.child.id())
            && let Some(id) = rustix::process::Pid::from_raw(id)
        {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
