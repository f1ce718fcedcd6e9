//! What the sandbox costs: a warm hook call, a fresh instance with its first call and its end, a hook that nobody exports; and what a
//! call of a host service costs: the call of the hook in which a guest makes many of them, divided by their number.
//!
//! `cargo xtask bench` builds the shipped plugins and the guests that are measured here.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use postgate_plugin::{
    Chain, Engine, EngineConfig, Entry, Grants, Keep, Limits, Message, MessageWriter, OnFailure, Plugin, PluginConfig,
    Run, SessionFacts, key_value, sqlite,
};
use postgate_smtp::{Body, Mail, Recipient};
use tokio::runtime::Runtime;

fn component(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("scratch files are in the target folder");
    let folder = if GUESTS.contains(&name) { "guests" } else { "plugins" };
    target.join(folder).join(format!("{name}.wasm"))
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
        key_value: ["greylist", "storage"].contains(&plugin).then_some(key_value),
        sqlite: ["sqlite-store", "storage"].contains(&plugin).then_some(sqlite),
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

/// So many calls of a service: the guest makes [`AT_ONCE`] of them in one call of its hook.
async fn service_calls(mut run: Run, verb: &str, argument: &str, times: u64) -> Duration {
    run.command("XDB", "do CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT)").await;
    run.command("XDB", "do INSERT OR IGNORE INTO t VALUES (1, 'x')").await;
    run.command("XKV", "set a value").await;
    let answer = format!("{:?}", run.command(verb, argument).await);
    assert!(answer.contains("250") && !answer.contains("Error"), "{argument}: {answer}");
    let rounds = times.div_ceil(AT_ONCE);
    let begin = Instant::now();
    for _ in 0..rounds {
        black_box(run.command(verb, argument).await);
    }
    begin.elapsed().mul_f64(times as f64 / (rounds * AT_ONCE) as f64)
}

/// So many calls about messages of that size: the guest makes so many in one call of its hook, as the subject tells it.
async fn message_calls(mut run: Run, subject: &str, octets: usize, at_once: u64, times: u64) -> Duration {
    let rounds = times.div_ceil(at_once);
    let mut took = Duration::ZERO;
    for _ in 0..rounds {
        run.mail("1-1".to_owned(), mail()).await;
        run.recipient(recipient()).await;
        let message = message(subject, octets);
        let begin = Instant::now();
        black_box(run.message(message).await);
        took += begin.elapsed();
    }
    took.mul_f64(times as f64 / (rounds * at_once) as f64)
}

/// A text and an attachment of about so many octets.
fn message(subject: &str, octets: usize) -> Message {
    let mut writer = MessageWriter::default();
    let head = format!(
        "Subject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
         Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
    writer.push(head.as_bytes());
    let line = format!("{}\r\n", "QUJD".repeat(19));
    while writer.size() < octets as u64 {
        writer.push(line.as_bytes());
        if writer.wants_flush() {
            writer.flush(&std::env::temp_dir()).expect("a scratch file");
        }
    }
    writer.push(b"--b--\r\n");
    writer.finish(&std::env::temp_dir()).expect("a message")
}

fn measure_services(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let engine = Engine::new(&EngineConfig { instances: 16, ..EngineConfig::default() }).expect("an engine");
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let mut group = criterion.benchmark_group("service");
    let storage = chain(&runtime, &engine, &[("storage", Keep::Session)], scratch.path());
    for (name, verb, argument) in [
        ("key-value get", "XKV", "times 100 get a"),
        ("key-value set", "XKV", "times 100 set b value"),
        ("key-value increment", "XKV", "times 100 add n 1"),
        ("sqlite query, a row by its key", "XDB", "times 100 ask SELECT b FROM t WHERE a = 1"),
        (
            "sqlite insert, 100 in a transaction",
            "XDB",
            "begin ;; times 100 do INSERT INTO t (b) VALUES ('x') ;; commit",
        ),
        ("sqlite insert, each synced", "XDB", "times 100 do INSERT INTO t (b) VALUES ('x')"),
    ] {
        let measure = |times| runtime.block_on(service_calls(run(&storage), verb, argument, times));
        group.bench_function(name, |bench| bench.iter_custom(measure));
    }
    let mime = chain(&runtime, &engine, &[("mime", Keep::Session)], scratch.path());
    for (name, subject, octets, at_once) in [
        ("message hook, nothing asked", "keep", 4 << 10, 1),
        ("parts, message of 4 KiB", "all; keep", 4 << 10, 1),
        ("parts, message of 1 MiB", "all; keep", 1 << 20, 1),
        ("mail-data read, 64 KiB in memory", "times 100 piece 100000 65536; keep", 1 << 20, 100),
        ("mail-data read, 64 KiB in a file", "times 100 piece 2000000 65536; keep", 4 << 20, 100),
        ("editor insert-field", "times 100 insert 0 X-A 1; keep", 4 << 10, 100),
    ] {
        let measure = |times| runtime.block_on(message_calls(run(&mime), subject, octets, at_once, times));
        group.bench_function(name, |bench| bench.iter_custom(measure));
    }
    group.finish();
}

/// Calls of a service in one call of a hook.
const AT_ONCE: u64 = 100;
/// Components that are guests for tests.
const GUESTS: [&str; 2] = ["storage", "mime"];

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
    targets = measure, measure_services
}
criterion_main!(benches);
