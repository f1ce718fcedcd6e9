//! The values of secrets, read when a site is loaded from where the configuration says they are.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use postgate_plugin::secrets::Secret;

use crate::config::{Config, Problem, SecretSource};

/// By name.
pub(crate) type Secrets = BTreeMap<String, Secret>;

/// Reads all values; what can't be had is a problem at its line, without a word of the value.
pub(crate) fn read(config: &Config, problems: &mut Vec<Problem>) -> Secrets {
    let mut secrets = Secrets::new();
    for (name, source) in &config.secrets {
        match value(source) {
            Ok(value) => {
                secrets.insert(name.clone(), Secret::new(&value));
            }
            Err(message) => {
                let key = match source {
                    SecretSource::Env(_) => "env",
                    SecretSource::File(_) => "file",
                    SecretSource::Credential(_) => "credential",
                };
                problems.push(config.problem(&["secret", name, key], format!("secret \"{name}\": {message}")));
            }
        }
    }
    secrets
}

fn value(source: &SecretSource) -> Result<String, String> {
    let octets = match source {
        SecretSource::Env(variable) => {
            let value = env::var_os(variable).ok_or("there is no such variable in the environment")?;
            value.into_encoded_bytes()
        }
        SecretSource::File(file) => read_file(file)?,
        SecretSource::Credential(name) => {
            let directory = env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or("the service manager has passed no credentials: CREDENTIALS_DIRECTORY is not set")?;
            read_file(&PathBuf::from(directory).join(name))?
        }
    };
    if octets.len() > MAX_BYTES {
        return Err(format!("larger than {MAX_BYTES} octets"));
    }
    let text = String::from_utf8(octets).map_err(|_| "not UTF-8")?;
    let value = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() { Err("it is empty".to_owned()) } else { Ok(value.to_owned()) }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    let mut octets = Vec::new();
    // A line break more than the value may have, and one octet to see that there is more.
    File::open(path).map_err(wrong)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut octets).map_err(wrong)?;
    Ok(octets)
}

const MAX_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let path = env::temp_dir().join(format!("postgate-secret-{}", std::process::id()));
        let check = |content: &[u8], expected: Result<&str, &str>| {
            std::fs::write(&path, content).unwrap();
            let found = value(&SecretSource::File(path.clone()));
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?} {expected:?}"),
            }
        };
        check(b"key", Ok("key"));
        check(b"key\n", Ok("key"));
        check(b"key\r\n", Ok("key"));
        check(b" two\nlines\n\n", Ok(" two\nlines\n"));
        check(b"\n", Err("empty"));
        check(b"", Err("empty"));
        check(b"\xff", Err("not UTF-8"));
        check(&vec![b'x'; MAX_BYTES + 1], Err("larger"));
        std::fs::remove_file(&path).unwrap();
        assert!(value(&SecretSource::File(path)).unwrap_err().contains("can't be read"));
        let missing = value(&SecretSource::Env("POSTGATE_TEST_NO_SUCH_VARIABLE".to_owned()));
        assert!(missing.unwrap_err().contains("no such variable"));
    }
}
