//! What the sandbox costs: a warm hook call, a fresh instance with its first call and its end, a hook that nobody exports.
//!
//! `cargo xtask bench` builds the shipped plugins that are measured here.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use postgate_plugin::{
    Chain, Engine, EngineConfig, Entry, Grants, Keep, Limits, MessageWriter, OnFailure, Plugin, PluginConfig, Run,
    SessionFacts, key_value, sqlite,
};
use postgate_smtp::{Body, Mail, Recipient};
use tokio::runtime::Runtime;

fn component(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("scratch files are in the target folder");
    target.join("plugins").join(format!("{name}.wasm"))
}

/// What the measured plugins need.
fn grants(plugin: &str, scratch: &Path) -> Grants {
    let path = scratch.join(format!("{plugin}.db"));
    let key_value =
        key_value::Grant { name: plugin.to_owned(), path: path.clone(), size_bytes: 64 << 20, entries: 1_000_000 };
    let sqlite = sqlite::Grant { path, size_bytes: 64 << 20, connections: 4 };
    Grants {
        log: true,
        config: true,
        key_value: (plugin == "greylist").then_some(key_value),
        sqlite: (plugin == "sqlite-store").then_some(sqlite),
        ..Grants::default()
    }
}

/// A chain of shipped plugins.
fn chain(runtime: &Runtime, engine: &Engine, plugins: &[(&str, Keep)], scratch: &Path) -> Arc<Chain> {
    let entries = plugins.iter().map(|(name, keep)| {
        let config = PluginConfig {
            name: (*name).to_owned(),
            component: component(name),
            sha256: None,
            grants: grants(name, scratch),
            config: match *name {
                "virtual-domains" => serde_json::json!({ "domains": { "example.org": { "users": ["bob"] } } }),
                _ => serde_json::json!({}),
            },
            limits: Limits::default(),
            keep: *keep,
        };
        let plugin = runtime.block_on(Plugin::load(engine, config)).expect("the shipped plugins are built");
        Entry { plugin, on_failure: OnFailure::default() }
    });
    Arc::new(Chain::new("main".to_owned(), entries.collect()))
}

fn run(chain: &Arc<Chain>) -> Run {
    let address = "127.0.0.1:25".parse().expect("an address");
    let session = SessionFacts {
        id: "1".to_owned(),
        listener: "smtp".into(),
        hostname: "mx.example.org".into(),
        remote: address,
        local: address,
        hello: None,
        tls: None,
        identity: None,
        early_talker: false,
        illegal_pipelining: 0,
    };
    Run::new(chain.clone(), session)
}

fn mail() -> Mail {
    Mail {
        reverse_path: "alice@example.org".parse().ok(),
        parameters: Vec::new(),
        size: None,
        body: Body::SevenBit,
        utf8: false,
    }
}

fn recipient() -> Recipient {
    Recipient { mailbox: "bob@example.org".parse().expect("a mailbox"), parameters: Vec::new() }
}

/// One RCPT in an open transaction, so many times.
async fn recipients(mut run: Run, times: u64) -> Duration {
    run.mail("1-1".to_owned(), mail()).await;
    black_box(run.recipient(recipient()).await);
    let begin = Instant::now();
    for n in 0..times {
        if n % 100 == 0 {
            // So that the list of accepted recipients stays short.
            run.mail("1-1".to_owned(), mail()).await;
        }
        black_box(run.recipient(recipient()).await);
    }
    begin.elapsed()
}

/// One delivery of a message to one recipient, so many times.
async fn deliveries(mut run: Run, times: u64) -> Duration {
    run.mail("1-1".to_owned(), mail()).await;
    run.recipient(recipient()).await;
    let mut writer = MessageWriter::default();
    writer.push(b"Subject: x\r\n\r\nbody\r\n");
    let message = writer.finish(&std::env::temp_dir()).expect("a message in memory");
    run.message(message).await;
    let begin = Instant::now();
    for _ in 0..times {
        black_box(run.deliver().await);
    }
    begin.elapsed()
}

fn measure(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let engine = Engine::new(&EngineConfig { instances: 16, ..EngineConfig::default() }).expect("an engine");
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let mut group = criterion.benchmark_group("hook");
    for (name, plugins) in [
        ("recipient, warm", &[("virtual-domains", Keep::Session)]),
        ("recipient, fresh instance", &[("virtual-domains", Keep::Call)]),
        ("recipient, exported by nobody", &[("discard", Keep::Session)]),
        ("recipient, one look into a key-value store", &[("greylist", Keep::Session)]),
        ("recipient, two queries of SQLite", &[("sqlite-store", Keep::Session)]),
    ] {
        let chain = chain(&runtime, &engine, plugins, scratch.path());
        group.bench_function(name, |bench| bench.iter_custom(|times| runtime.block_on(recipients(run(&chain), times))));
    }
    for (name, keep) in [("deliver, warm", Keep::Session), ("deliver, fresh instance", Keep::Call)] {
        let chain = chain(&runtime, &engine, &[("virtual-domains", Keep::Session), ("discard", keep)], scratch.path());
        group.bench_function(name, |bench| bench.iter_custom(|times| runtime.block_on(deliveries(run(&chain), times))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = measure
}
criterion_main!(benches);
