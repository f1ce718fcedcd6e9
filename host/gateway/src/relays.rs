//! The relays of a configuration brought to life: certificates read, passwords taken out of the secrets, and everything told that is wrong with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use postgate_plugin::{ClientCertificate, Place, Relay, RelayConfig, RelayError, RelayTls, Stubs};
use postgate_smtp::client::{self, Credentials, Patience};
use postgate_smtp::{Mechanism, Protocol};

use crate::config::{self, Config, Problem};
use crate::secrets::Secrets;
use crate::site::chained;
use crate::tls::{read_chain, read_key};

/// By name.
pub(crate) type Relays = BTreeMap<String, Arc<Relay>>;

/// All relays; what is wrong with one is added to the problems.
pub(crate) fn load(
    config: &Config,
    secrets: &Secrets,
    rehearsal: Option<&Arc<Stubs>>,
    problems: &mut Vec<Problem>,
) -> Relays {
    let mut relays = Relays::new();
    // A secret that could not be read has been told of.
    let is_complete = |relay: &config::Relay| {
        let mut passwords = relay.auth.iter().filter_map(|auth| auth.password.as_ref());
        passwords.all(|password| secrets.contains_key(&password.secret))
    };
    for (name, settings) in config.relays.iter().filter(|(_, settings)| is_complete(settings)) {
        match relay(config, name, settings, secrets) {
            Ok(relay) => {
                let relay = match rehearsal {
                    Some(stubs) => relay.rehearse(stubs.clone()),
                    None => relay,
                };
                relays.insert(name.clone(), Arc::new(relay));
            }
            Err(problem) => problems.push(problem),
        }
    }
    relays
}

fn relay(config: &Config, name: &str, settings: &config::Relay, secrets: &Secrets) -> Result<Relay, Problem> {
    let hello = settings.hello.as_ref().unwrap_or(&config.hostname).as_str();
    let mut client = client::Config::new(hello.parse().expect("invariant: a host name is a domain"));
    client.protocol = match settings.protocol {
        config::Protocol::Smtp => Protocol::Smtp,
        config::Protocol::Lmtp => Protocol::Lmtp,
    };
    if let Some(auth) = &settings.auth {
        let problem = |message| config.problem(&["relay", name, "auth", "password"], message);
        let secret = auth.password.as_ref().map(|password| secret(password, secrets)).transpose().map_err(problem)?;
        client.mechanism = auth.mechanism.map(|mechanism| mechanism.0);
        client.credentials = Some(credentials(auth, secret.unwrap_or_default()));
    }
    client.patience = Patience {
        command: settings.command_patience.0,
        data: settings.command_patience.0,
        piece: settings.data_patience.0,
        end: settings.end_patience.0,
    };
    let problem = |message| config.problem(&["relay", name, "ca"], message);
    let authorities = settings.ca.as_deref().map(read_chain).transpose().map_err(problem)?;
    let certificate = settings.certificate.as_ref().map(|own| certificate(config, name, own)).transpose()?;
    let relay = Relay::new(RelayConfig {
        certificate,
        name: name.to_owned(),
        place: match settings.addresses.is_empty() {
            true => Place::Host(settings.host.clone()),
            false => Place::Addresses(settings.addresses.clone()),
        },
        port: settings.port,
        tls: match settings.tls {
            config::RelayTls::Required => RelayTls::Required,
            config::RelayTls::Implicit => RelayTls::Implicit,
            config::RelayTls::Opportunistic => RelayTls::Opportunistic,
            config::RelayTls::None => RelayTls::None,
        },
        authorities,
        server_name: Some(settings.server_name.as_ref().unwrap_or(&settings.host).clone()),
        client,
        connections: settings.connections.number(),
        idle: settings.idle.0,
        messages: u32::try_from(settings.messages.number()).unwrap_or(u32::MAX),
        connect_patience: settings.connect_patience.0,
    });
    relay.map_err(|error| {
        let setting = match &error {
            RelayError::Authority(_) | RelayError::NoAuthorities => "ca",
            RelayError::Certificate(_) => "certificate",
            RelayError::ServerName(_) if settings.server_name.is_some() => "server-name",
            RelayError::ServerName(_) => "host",
        };
        config.problem(&["relay", name, setting], chained(&error))
    })
}

/// What we show of ourselves.
fn certificate(config: &Config, name: &str, own: &config::Certificate) -> Result<ClientCertificate, Problem> {
    let problem = |key: &'static str| move |message| config.problem(&["relay", name, "certificate", key], message);
    let chain = read_chain(&own.chain).map_err(problem("chain"))?;
    let key = read_key(&own.key).map_err(problem("key"))?;
    Ok(ClientCertificate { chain, key: Arc::new(key) })
}

fn credentials(auth: &config::RelayAuth, secret: String) -> Credentials {
    let user = auth.user.clone();
    match auth.mechanism.map(|mechanism| mechanism.0) {
        Some(Mechanism::OAuthBearer | Mechanism::XOAuth2) => Credentials::Token { user, token: secret },
        Some(Mechanism::External) => Credentials::Certificate { user },
        Some(Mechanism::Plain | Mechanism::Login | Mechanism::ScramSha256 | Mechanism::ScramSha256Plus) | None => {
            Credentials::Password { user, password: secret }
        }
    }
}

/// A password or token out of the secrets. What is wrong never quotes it.
fn secret(password: &config::RelayPassword, secrets: &Secrets) -> Result<String, String> {
    let name = &password.secret;
    let text = secrets.get(name).ok_or_else(|| format!("the secret \"{name}\" has no value"))?.expose();
    if text.is_empty() || text.len() > SECRET_BYTES_MAX || text.contains(char::is_control) {
        return Err(format!("a password has 1 to {SECRET_BYTES_MAX} octets and no control characters"));
    }
    Ok(text.to_owned())
}

/// Tokens are longer than passwords.
const SECRET_BYTES_MAX: usize = 8192;
