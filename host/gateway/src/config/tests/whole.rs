//! Files that are no configuration as a whole: syntax, what they lack, what can't be read.

use super::*;

#[test]
fn errors_of_syntax() {
    check(
        "hostname = \"mx.example.org\nbind = 1",
        r#"
etc/p.toml:1:27: invalid basic string, expected `"`
  |
1 | hostname = "mx.example.org
  |                           ^
"#,
    );
    check(
        "a = 1\na = 2\n[x\n",
        r#"
etc/p.toml:2:1: duplicate key
  |
2 | a = 2
  | ^

etc/p.toml:3:3: unclosed table, expected `]`
  |
3 | [x
  |   ^
"#,
    );
}

#[test]
fn files_that_lack_something() {
    check("", "etc/p.toml: there is no listener\n = add a table [listener.NAME] with `bind` and `chain`");
    check(
        "[listener.smtp]\nbind = \"127.0.0.1:0\"",
        "etc/p.toml:1:1: \"chain\" is missing\n  |\n1 | [listener.smtp]\n  | ^^^^^^^^^^^^^^^",
    );
    check(
        "listener.smtp = { bind = [], chain = \"main\" }",
        r#"
etc/p.toml:1:26: there is no address
  |
1 | listener.smtp = { bind = [], chain = "main" }
  |                          ^^

etc/p.toml:1:38: there is no chain "main"
  |
1 | listener.smtp = { bind = [], chain = "main" }
  |                                      ^^^^^^
  = no chain is configured
"#,
    );
    check(
        "[listener]\nbind = \"127.0.0.1:25\"",
        "etc/p.toml:2:8: expected a table [listener.NAME], found a text\n  |\n2 | bind = \"127.0.0.1:25\"\n  |        ^^^^^^^^^^^^^^",
    );
    let nameless = Machine { hostname: "(none)".to_owned(), cores: 1 };
    let problems = Config::parse(Path::new("p.toml"), MINIMAL.to_owned(), &[], &nameless).unwrap_err().to_string();
    let expected = "p.toml: the machine's name is no name for a mail host: \"(none)\" is not a domain: '(' is no letter, digit \
                    or \"-\"\n = set hostname = \"mx.example.org\"";
    assert_eq!(problems, expected);
}

#[test]
fn files_that_can_not_be_read() {
    let missing = Config::load(Path::new("/nonexistent/p.toml"), &[]).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/p.toml: can't be read: No such file"), "{missing}");
    let directory = Config::load(Path::new("/"), &[]).unwrap_err().to_string();
    assert!(directory.starts_with("/: can't be read: "), "{directory}");
    let endless = Config::load(Path::new("/dev/zero"), &[]).unwrap_err().to_string();
    assert_eq!(endless, "/dev/zero: larger than 1 MiB");
}

#[test]
fn a_file_of_nothing_but_errors_is_bounded() {
    let text: String = (0..2000).map(|n| format!("x{n} = 1\n")).collect();
    let problems = Config::parse(Path::new("p.toml"), text, &[], &machine()).unwrap_err();
    assert_eq!(problems.count(), 50);
}
