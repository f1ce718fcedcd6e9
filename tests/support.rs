//! A gateway in this process, and a client that says what it is told.

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod made;
pub(crate) mod mailbox;
pub(crate) mod nameserver;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod rebinding;
pub(crate) mod recorded;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use postgate::config::{Config, Machine, Problems};
use postgate::server::Server;
use postgate::site::Site;
use postgate_plugin::Clock;
use tokio::sync::oneshot;

pub(crate) use client::Client;

/// The folder of everything that is built.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the folder for scratch files is in the target folder")
        .to_path_buf()
}

/// A component that the tests' own guests or the shipped plugins were built to.
pub(crate) fn component(name: &str) -> PathBuf {
    let found = ["guests", "plugins"].map(|kind| target().join(kind).join(format!("{name}.wasm")));
    let found = found.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name}.wasm is not built: run the tests by `cargo xtask test`"))
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the repository").to_path_buf()
}

/// A plugin's table for a configuration.
pub(crate) fn plugin(name: &str, component_name: &str, grants: &str) -> String {
    let component = component(component_name);
    format!("[plugin.{name}]\ncomponent = {:?}\ngrants = {grants}\n", component.display().to_string())
}

/// A configuration with one listener on a free port and one chain of these plugins, each a table of its own in `plugins`.
pub(crate) fn one_chain(chain: &str, plugins: &str) -> String {
    format!(
        "[listener.smtp]\nbind = \"127.0.0.1:0\"\nchain = \"main\"\nauth-in-clear = true\n[chain.main]\nplugins = {chain}\n{plugins}"
    )
}

/// The quickstart's chain, users and domains, on a free port.
pub(crate) fn quickstart() -> String {
    let path = root().join("examples/quickstart/postgate.toml");
    let text = std::fs::read_to_string(path).expect("the quickstart's configuration");
    let plugins = component("maildir").parent().expect("a directory").display().to_string();
    let lines = text.lines().filter(|line| !line.starts_with("plugin-dir") && !line.starts_with("data-dir"));
    let text = lines.collect::<Vec<_>>().join("\n").replace("127.0.0.1:2525", "127.0.0.1:0");
    format!("plugin-dir = {plugins:?}\n{text}")
}

/// Says loudly that a test is skipped, past the capture of its output. In CI nothing is: there it fails.
#[track_caller]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "in CI no test may be skipped: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// A directory in memory where the system has one, for tests of which nothing needs to survive a power failure.
pub(crate) fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a scratch directory")
}

/// A gateway that serves until it is dropped.
pub(crate) struct Gateway {
    /// The first listener's.
    pub address: SocketAddr,
    /// All listeners', by name.
    pub addresses: BTreeMap<String, SocketAddr>,
    /// The data directory.
    pub data: std::sync::Arc<tempfile::TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<usize>>,
}

/// A configuration as `Gateway::start` reads it: small, in a directory of its own, with a shared cache of compiled components.
pub(crate) fn config(text: &str, data: &Path) -> Result<Config, Problems> {
    config_of(text, data, 50)
}

fn config_of(text: &str, data: &Path, instances: usize) -> Result<Config, Problems> {
    let overrides = [
        format!("data-dir={}", data.display()),
        format!("cache-dir={}", target().join("tmp/compiled").display()),
        format!("engine.instances={instances}"),
        "hostname=mx.example.org".to_owned(),
    ];
    let machine = Machine { hostname: "mx.example.org".to_owned(), cores: 2 };
    Config::parse(&data.join("test.toml"), text.to_owned(), &overrides, &machine)
}

/// Loads a site, and tells what is wrong with it.
pub(crate) fn load(text: &str) -> Result<(), String> {
    let data = tempfile::tempdir().expect("a scratch directory");
    let config = config(text, data.path()).map_err(|problems| problems.to_string())?;
    runtime().block_on(Site::load(&config)).map(drop).map_err(|problems| problems.to_string())
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).event_interval(4).enable_all().build().expect("a runtime")
}

impl Gateway {
    pub(crate) fn start(text: &str) -> Self {
        Self::start_in(text, tempfile::tempdir().expect("a scratch directory"))
    }

    pub(crate) fn start_in(text: &str, data: tempfile::TempDir) -> Self {
        Self::start_with(text, data, 50, Clock::default())
    }

    /// With so many instances.
    pub(crate) fn start_large(text: &str, data: tempfile::TempDir, instances: usize) -> Self {
        Self::start_with(text, data, instances, Clock::default())
    }

    /// With a clock of the test's own.
    pub(crate) fn start_at(text: &str, data: tempfile::TempDir, clock: Clock) -> Self {
        Self::start_with(text, data, 50, clock)
    }

    fn start_with(text: &str, data: tempfile::TempDir, instances: usize, clock: Clock) -> Self {
        log::capture();
        let config = config_of(text, data.path(), instances).unwrap_or_else(|problems| panic!("{problems}"));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, addresses) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let site = Site::load_with(&config, clock).await.unwrap_or_else(|problems| panic!("{problems}"));
                let server = Server::bind(&config, site).await.unwrap_or_else(|problems| panic!("{problems}"));
                let addresses = server.addresses().map(|(name, address)| (name.to_owned(), address)).collect();
                ready.send(addresses).expect("the test waits");
                server
                    .run(
                        async {
                            // Dropped without a word is a word too.
                            let _ = stopped.await;
                        },
                        std::future::pending(),
                    )
                    .await
            })
        });
        let addresses: BTreeMap<String, SocketAddr> = addresses.recv().expect("the gateway starts");
        let address = *addresses.values().next().expect("a listener");
        Self { address, addresses, data: std::sync::Arc::new(data), stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Stops, and answers how many sessions were cut off.
    pub(crate) fn stop(mut self) -> usize {
        self.end()
    }

    /// As `stop`, and the data directory stays as long as what is answered with it.
    pub(crate) fn stop_keeping_data(self) -> (usize, std::sync::Arc<tempfile::TempDir>) {
        let data = self.data.clone();
        (self.stop(), data)
    }

    fn end(&mut self) -> usize {
        drop(self.stop.take());
        self.thread.take().map_or(0, |thread| thread.join().expect("the gateway does not panic"))
    }

    /// The messages in a Maildir below the data directory, in no order.
    pub(crate) fn messages(&self, maildir: &str) -> Vec<String> {
        let new = self.data.path().join(maildir).join("new");
        let Ok(entries) = std::fs::read_dir(&new) else { return Vec::new() };
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let octets = std::fs::read(entry.expect("an entry").path()).expect("a message");
            String::from_utf8(octets).expect("the tests send text")
        };
        entries.map(read).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.end();
        }
    }
}
