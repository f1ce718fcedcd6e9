//! What is no error and yet not meant: parts that nobody uses, settings without effect; and who we are to a relay.

use super::*;

#[test]
fn unused_parts_are_found() {
    assert!(parse(MINIMAL, &[]).unwrap().doubts().is_empty());
    let text = format!("{MINIMAL}[chain.spare]\nplugins = ['policy']\n[plugin.spare]\ncomponent = 'a'");
    let config = parse(&text, &[]).unwrap();
    let first_lines: Vec<String> =
        config.doubts().iter().map(|problem| problem.to_string().lines().next().unwrap_or("").to_owned()).collect();
    assert_eq!(
        first_lines,
        [
            "etc/p.toml:9:8: chain \"spare\" is unused: no listener uses it",
            "etc/p.toml:11:9: plugin \"spare\" is unused: it is in no chain"
        ]
    );
}

#[test]
fn what_nobody_uses_is_found() {
    let grants = "grants = [{ submit = ['used'] }, { signing = ['used'] }, { secrets = { read = ['read'], sign = ['sign'] } },
        { http = { allow = ['https://a.example'], headers = [{ to = 'https://a.example', name = 'x', secret = 'sent' }] } }]";
    let relay = |name: &str, more: &str| format!("[relay.{name}]\nhost = 'a.example'\n{more}\n");
    let key = |name: &str| {
        format!("[dkim-key.{name}]\ndomain = 'a.example'\nselector = 's'\nalgorithm = 'rsa-sha256'\nkey = 'k'\n")
    };
    let secret = |name: &str| format!("[secret.{name}]\nenv = 'A'\n");
    let secrets: String = ["read", "sign", "sent", "password", "spare"].map(secret).concat();
    let auth = "auth = { user = 'u', password = { secret = 'password' } }";
    let text = [
        &format!("{MINIMAL}{grants}\n"),
        &relay("used", auth),
        &relay("spare", ""),
        &key("used"),
        &key("spare"),
        &secrets,
    ];
    let config = parse(&text.map(String::as_str).concat(), &[]).unwrap();
    let found: Vec<String> = config.doubts().iter().map(|doubt| doubt.to_string()).collect();
    let expected = [
        "relay \"spare\" is unused: no plugin is granted it",
        "dkim-key \"spare\" is unused: no plugin is granted it",
        "secret \"spare\" is unused: no plugin is granted it, and no relay or key asks for it",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.lines().next().unwrap_or_default().ends_with(&format!(": {expected}")), "{found}");
    }
}

#[test]
fn settings_without_effect_are_found() {
    let check = |overrides: &[&str], expected: &[&str]| {
        let config = parse(MINIMAL, overrides).unwrap();
        let found: Vec<String> = config
            .doubts()
            .iter()
            .map(|doubt| doubt.to_string().lines().next().unwrap_or_default().split_once(": ").unwrap().1.to_owned())
            .collect();
        assert_eq!(found, expected, "{overrides:?}");
    };
    let tls = "listener.smtp.certificates=[{ chain = 'a', key = 'b' }]";
    let on = "listener.smtp.extensions-on=['REQUIRETLS', 'SIZE', 'DSN', 'DELIVERBY']";
    let off = "listener.smtp.extensions-off=['DSN', 'FUTURERELEASE', 'VRFY']";
    let size = "SIZE in extensions-on has no effect: it is not switched off by default";
    let dsn = "DSN stands in extensions-off too, and is not offered";
    let later = "FUTURERELEASE in extensions-off has no effect: it is not offered anyway";
    let secure = "REQUIRETLS is never offered: it is for connections below TLS, and this listener has none";
    check(&[on], &[secure, size]);
    check(&[on, tls], &[size]);
    check(&[on, off, tls], &[size, dsn, later]);
    let mechanisms = "listener.smtp.auth-mechanisms=['EXTERNAL', 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN']";
    let external = "EXTERNAL is never offered: clients are asked for no certificate: set client-certificates";
    let plus = "SCRAM-SHA-256-PLUS is never offered: it is bound to a TLS connection, and this listener has none";
    check(&[mechanisms], &[external, plus]);
    check(&[mechanisms, tls], &[external]);
    check(&[mechanisms, tls, "listener.smtp.client-certificates={ ca = 'c' }"], &[]);
}

#[test]
fn who_we_are_to_a_relay() {
    let check = |relay: &str, expected: &[&str]| {
        let text = format!("{MINIMAL}[relay.r]\nhost = 'a.example'\n{relay}\n[secret.s]\nenv = 'A'\n");
        let found = match parse(&text, &[]) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .split("\n\n")
                .map(|problem| problem.lines().next().unwrap().split_once(": ").unwrap().1.to_owned())
                .collect(),
        };
        assert_eq!(found, expected, "{relay}");
    };
    let own = "certificate = { chain = 'a', key = 'b' }";
    check("auth = { user = 'u', password = { secret = 's' } }", &[]);
    check(&format!("{own}\nauth = {{ mechanism = 'EXTERNAL' }}"), &[]);
    check(&format!("{own}\nauth = {{ user = 'u', password = {{ secret = 's' }} }}"), &[]);
    check("auth = { user = 'u' }", &["there is no password: add password = { secret = \"NAME\" }"]);
    check("auth = { user = '', password = { secret = 's' } }", &["a name without control characters is needed"]);
    check("auth = { mechanism = 'EXTERNAL' }", &["EXTERNAL needs a certificate of ours: set relay.NAME.certificate"]);
    check(
        &format!("{own}\nauth = {{ mechanism = 'EXTERNAL', password = {{ secret = 's' }} }}"),
        &["EXTERNAL has no password: a certificate says who we are"],
    );
    check(&format!("{own}\ntls = 'none'"), &["there is no TLS with this relay"]);
    let told = "a password would be told to a server that nobody has verified: set tls = \"required\"";
    check("tls = 'opportunistic'\nauth = { user = 'u', password = { secret = 's' } }", &[told]);
}
