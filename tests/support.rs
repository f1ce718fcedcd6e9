//! A gateway in this process, and a client that says what it is told.

pub mod client;
pub mod log;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use postgate::config::{Config, Machine, Problems};
use postgate::server::Server;
use postgate::site::Site;
use tokio::sync::oneshot;

pub use client::Client;

/// The folder of everything that is built.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder for scratch files is in the target folder").to_path_buf()
}

/// A component that the tests' own guests or the shipped plugins were built to.
pub fn component(name: &str) -> PathBuf {
    let found = ["guests", "plugins"].map(|kind| target().join(kind).join(format!("{name}.wasm")));
    let found = found.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name}.wasm is not built: run the tests by `cargo xtask test`"))
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the repository").to_path_buf()
}

/// A plugin's table for a configuration.
pub fn plugin(name: &str, component_name: &str, grants: &str) -> String {
    let component = component(component_name);
    format!("[plugin.{name}]\ncomponent = {:?}\ngrants = {grants}\n", component.display().to_string())
}

/// A configuration with one listener on a free port and one chain of these plugins, each a table of its own in `plugins`.
pub fn one_chain(chain: &str, plugins: &str) -> String {
    format!("[listener.smtp]\nbind = \"127.0.0.1:0\"\nchain = \"main\"\nauth-in-clear = true\n[chain.main]\nplugins = {chain}\n{plugins}")
}

/// A gateway that serves until it is dropped.
pub struct Gateway {
    pub address: SocketAddr,
    /// The data directory.
    pub data: std::sync::Arc<tempfile::TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<usize>>,
}

/// A configuration as `Gateway::start` reads it: small, in a directory of its own, with a shared cache of compiled components.
pub fn config(text: &str, data: &Path) -> Result<Config, Problems> {
    let overrides = [
        format!("data-dir={}", data.display()),
        format!("cache-dir={}", target().join("tmp/compiled").display()),
        "engine.instances=50".to_owned(),
        "hostname=mx.example.org".to_owned(),
    ];
    let machine = Machine { hostname: "mx.example.org".to_owned(), cores: 2 };
    Config::parse(&data.join("test.toml"), text.to_owned(), &overrides, &machine)
}

/// Loads a site, and tells what is wrong with it.
pub fn load(text: &str) -> Result<(), String> {
    let data = tempfile::tempdir().expect("a scratch directory");
    let config = config(text, data.path()).map_err(|problems| problems.to_string())?;
    runtime().block_on(Site::load(&config)).map(drop).map_err(|problems| problems.to_string())
}

pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).event_interval(16).enable_all().build().expect("a runtime")
}

impl Gateway {
    pub fn start(text: &str) -> Self {
        Self::start_in(text, tempfile::tempdir().expect("a scratch directory"))
    }

    pub fn start_in(text: &str, data: tempfile::TempDir) -> Self {
        log::capture();
        let config = config(text, data.path()).unwrap_or_else(|problems| panic!("{problems}"));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let site = Site::load(&config).await.unwrap_or_else(|problems| panic!("{problems}"));
                let server = Server::bind(&config, site).await.unwrap_or_else(|problems| panic!("{problems}"));
                let (_, address) = server.addresses().next().expect("a listener");
                ready.send(address).expect("the test waits");
                server
                    .run(async {
                        // Dropped without a word is a word too.
                        let _ = stopped.await;
                    })
                    .await
            })
        });
        let address = address.recv().expect("the gateway starts");
        Self { address, data: std::sync::Arc::new(data), stop: Some(stop), thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Stops, and answers how many sessions were cut off.
    pub fn stop(mut self) -> usize {
        self.end()
    }

    /// As `stop`, and the data directory stays as long as what is answered with it.
    pub fn stop_keeping_data(self) -> (usize, std::sync::Arc<tempfile::TempDir>) {
        let data = self.data.clone();
        (self.stop(), data)
    }

    fn end(&mut self) -> usize {
        drop(self.stop.take());
        self.thread.take().map_or(0, |thread| thread.join().expect("the gateway does not panic"))
    }

    /// The messages in a Maildir below the data directory, in no order.
    pub fn messages(&self, maildir: &str) -> Vec<String> {
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
