//! What `explain` says of listeners, as text.

use std::net::SocketAddr;

use postgate_plugin::Cause;

use super::super::table::{grouped, table};
use super::services::guesses;
use super::{AuthOffer, Explanation, ListenerPart};
use crate::config::{ClientCertificateMode, Directory, Grant, MixedOutcomes, Network, Period, Protocol, Tls, TlsStart};

impl Explanation<'_> {
    pub(super) fn text(&self) -> String {
        let listeners = self.listeners.iter().map(ListenerPart::text).collect::<Vec<_>>().join("\n");
        listeners + &self.services.text()
    }
}

impl ListenerPart<'_> {
    fn text(&self) -> String {
        let title = [["hook", "asked, in order", "when nobody has an opinion"].map(str::to_owned)];
        let hooks = self
            .hooks
            .iter()
            .map(|part| [part.hook.to_owned(), or_dash(part.plugins.join(" ")), part.otherwise.to_owned()]);
        let mut text = format!("listener {}\n", self.name);
        text += &table(&self.facts().into_iter().map(|(name, fact)| [name.to_owned(), fact]).collect::<Vec<_>>(), 2);
        text += "\n";
        text += &table(&title.into_iter().chain(hooks).collect::<Vec<_>>(), 2);
        text += "\n";
        text += &self.plugins();
        text += "\n";
        text += &self.limits();
        text += "\n";
        text += &self.failures();
        text
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let bind: Vec<String> = self.bind.iter().map(SocketAddr::to_string).collect();
        let networks = |networks: &[Network]| networks.iter().map(Network::to_string).collect::<Vec<_>>().join(" ");
        let protocol = match (self.protocol, self.mixed_outcomes) {
            (Protocol::Smtp, MixedOutcomes::Worst) => "SMTP, one reply to a message: the worst outcome",
            (Protocol::Smtp, MixedOutcomes::OneRecipient) => "SMTP, one recipient in a transaction",
            (Protocol::Lmtp, MixedOutcomes::Worst | MixedOutcomes::OneRecipient) => {
                "LMTP, a reply to a message for each recipient"
            }
        };
        let mut facts = vec![
            ("bind", bind.join(" ")),
            ("hostname", self.hostname.to_owned()),
            ("chain", self.chain.to_owned()),
            ("protocol", protocol.to_owned()),
            ("TLS", self.tls.map_or("none".to_owned(), tls)),
            ("AUTH", self.auth()),
        ];
        if matches!(self.auth_offered, AuthOffer::InClear | AuthOffer::BelowTls) {
            let names: Vec<&str> = self.auth_mechanisms.iter().map(|mechanism| mechanism.0.name()).collect();
            facts.push(("mechanisms", or_dash(names.join(" "))));
            facts.push(("guesses", guesses(self.limits)));
        }
        for (name, extensions) in [("switched on", self.extensions_on), ("switched off", self.extensions_off)] {
            if !extensions.is_empty() {
                let keywords: Vec<&str> = extensions.iter().map(|extension| extension.0.keyword()).collect();
                facts.push((name, keywords.join(" ")));
            }
        }
        // Most listeners have none of these.
        if !self.proxy_from.is_empty() {
            facts.push(("PROXY", format!("required from {}", networks(self.proxy_from))));
        }
        if !self.xclient_from.is_empty() {
            facts.push(("XCLIENT", format!("from {}", networks(self.xclient_from))));
        }
        if self.banner_delay > Period::seconds(0) {
            facts.push(("banner", format!("after {} of silence", self.banner_delay)));
        }
        facts
    }

    /// Where AUTH is offered, or why it is not.
    fn auth(&self) -> String {
        let required = if self.auth_required { ", required before mail" } else { "" };
        match self.auth_offered {
            AuthOffer::InClear => format!("offered in clear{required}"),
            AuthOffer::BelowTls => format!("offered below TLS{required}"),
            AuthOffer::NoHook => "not offered: no plugin of the chain has the hook authenticate".to_owned(),
            AuthOffer::SwitchedOff => "not offered: it stands in extensions-off".to_owned(),
            AuthOffer::NoTls => "not offered: auth-in-clear is false, and there is no TLS".to_owned(),
        }
    }

    fn plugins(&self) -> String {
        let title = ["plugin", "instance", "grants", "component"].map(str::to_owned);
        let rows = self.plugins.iter().map(|plugin| {
            let grants: Vec<String> = plugin.grants.iter().map(grant).collect();
            [
                plugin.name.to_owned(),
                plugin.instance.name().to_owned(),
                or_dash(grants.join(", ")),
                plugin.component.clone(),
            ]
        });
        table(&std::iter::once(title).chain(rows).collect::<Vec<_>>(), 2)
    }

    fn limits(&self) -> String {
        let title = [
            "limits",
            "fuel",
            "memory",
            "deadline",
            "instances",
            "tables",
            "services",
            "log",
            "notes",
            "edits",
            "transfer",
        ];
        let rows = self.plugins.iter().map(|plugin| {
            let limits = plugin.limits;
            [
                plugin.name.to_owned(),
                grouped(limits.fuel),
                limits.memory.to_string(),
                limits.deadline.to_string(),
                limits.instances.to_string(),
                grouped(limits.table_elements.into()),
                grouped(limits.service_calls.into()),
                limits.log_octets.to_string(),
                limits.note_octets.to_string(),
                limits.edit_octets.to_string(),
                limits.transfer_octets.to_string(),
            ]
        });
        table(&std::iter::once(title.map(str::to_owned)).chain(rows).collect::<Vec<_>>(), 2)
    }

    fn failures(&self) -> String {
        let [a, b, c, d, e, f] = Cause::ALL.map(|cause| cause.name().to_owned());
        let title = ["on failure".to_owned(), a, b, c, d, e, f];
        let rows = self.plugins.iter().map(|plugin| {
            let mut row = [plugin.name; 1 + Cause::ALL.len()];
            for (cell, (_, policy)) in row.iter_mut().skip(1).zip(plugin.on_failure.iter()) {
                *cell = policy.name();
            }
            row.map(str::to_owned)
        });
        table(&std::iter::once(title).chain(rows).collect::<Vec<_>>(), 2)
    }
}

fn grant(grant: &Grant) -> String {
    match grant {
        Grant::Log | Grant::Config | Grant::Passwords | Grant::Metrics | Grant::Dns | Grant::MailAuthentication => {
            grant.name().to_owned()
        }
        Grant::Signing(keys) => format!("{} {}", grant.name(), keys.join(" ")),
        Grant::Maildir(root) => format!("{} {}", grant.name(), root.display()),
        Grant::KeyValue(store) => format!("{} {} ({})", grant.name(), store.path.display(), store.size),
        Grant::Sqlite(database) => format!("{} {} ({})", grant.name(), database.path.display(), database.size),
        Grant::Sockets(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("{} {}", grant.name(), addresses.join(" "))
        }
        Grant::Files(directories) => {
            let told = |one: &Directory| format!("{} as {}", one.path.display(), one.guest_path.escape_debug());
            format!("{} {}", grant.name(), directories.iter().map(told).collect::<Vec<_>>().join(", "))
        }
        Grant::Submit(relays) => format!("{} {}", grant.name(), relays.join(" ")),
        Grant::Secrets(secrets) => {
            let names: Vec<&str> = secrets.read.iter().chain(&secrets.sign).map(String::as_str).collect();
            format!("{} {}", grant.name(), names.join(" "))
        }
        Grant::Http(http) => {
            let hosts: Vec<String> = http.allow.iter().map(ToString::to_string).collect();
            format!("{} {}", grant.name(), hosts.join(" "))
        }
    }
}

fn tls(tls: &Tls) -> String {
    let start = match tls.start {
        TlsStart::Implicit => "implicit",
        TlsStart::Starttls => "STARTTLS",
    };
    let required = if tls.required { ", required before mail" } else { "" };
    let clients = match tls.client_certificates.as_ref().map(|clients| clients.mode) {
        None => "",
        Some(ClientCertificateMode::Optional) => ", client certificates optional",
        Some(ClientCertificateMode::Required) => ", client certificates required",
    };
    let chains: Vec<String> = tls.certificates.iter().map(|own| own.chain.display().to_string()).collect();
    format!("{start}{required}{clients}: {}", chains.join(" "))
}

/// What stands for nothing.
pub(super) fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
