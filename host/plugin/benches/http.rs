//! What a call of a service costs that speaks to others or is spoken to: a request that a guest sends, one that it answers, a secret, a figure.
//!
//! A guest makes so many calls in one call of its hook, so that what is measured is the service. `cargo xtask bench` builds the guests of the tests,
//! which are used here. The server is a thread that answers the same octets to every request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt, Empty};
use postgate_plugin::{
    Chain, Engine, EngineConfig, Entry, Grants, Keep, Limits, MessageDecision, MessageWriter, OnFailure, Plugin,
    PluginConfig, RequestBody, Run, SessionFacts, http, secrets,
};
use postgate_smtp::{Body, Mail, Recipient};
use tokio::runtime::Runtime;

fn guest(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("scratch files are in the target folder");
    target.join("guests").join(format!("{name}.wasm"))
}

/// Answers every request on every connection.
fn server() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut head = Vec::new();
    let mut octets = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut octets) {
        head.extend_from_slice(&octets[..read]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let written = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            if written.is_err() {
                return;
            }
        }
    }
}

fn grants(server: SocketAddr) -> Grants {
    let secret = secrets::Secret::new("k3y");
    let secrets = [("own".to_owned(), secret)];
    Grants {
        log: true,
        metrics: true,
        secrets: Some(secrets::Grant { read: secrets.into(), ..secrets::Grant::default() }),
        http: Some(http::Grant {
            allow: vec![format!("http://{server}").parse().expect("an entry")],
            private: vec!["127.0.0.0/8".parse().expect("a network")],
            methods: vec!["GET".to_owned()],
            request_bytes: 1 << 20,
            response_bytes: 1 << 20,
            timeout: Duration::from_secs(10),
            concurrent: 16,
            headers: Vec::new(),
            authorities: Vec::new(),
        }),
        ..Grants::default()
    }
}

/// A guest of the tests, whose calls may take as long as they like.
fn plugin(runtime: &Runtime, engine: &Engine, name: &str, server: SocketAddr) -> Arc<Plugin> {
    let config = PluginConfig {
        name: name.to_owned(),
        component: guest(name),
        sha256: None,
        grants: grants(server),
        config: serde_json::json!({}),
        limits: Limits {
            fuel: 1 << 60,
            deadline: Duration::from_secs(3600),
            service_calls: u32::MAX,
            ..Limits::default()
        },
        keep: Keep::Session,
    };
    runtime.block_on(Plugin::load(engine, config)).expect("the guests are built")
}

fn session() -> SessionFacts {
    let address = "127.0.0.1:25".parse().expect("an address");
    SessionFacts {
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
    }
}

/// A message whose fields say what is to be done; how long that takes, and what the guest tells of it.
async fn deed(run: &mut Run, fields: &str, times: u64, expected: &str) -> Duration {
    let mail = Mail { reverse_path: None, parameters: Vec::new(), size: None, body: Body::SevenBit, utf8: false };
    run.mail("1-1".to_owned(), mail).await;
    let mailbox = "bob@example.org".parse().expect("a mailbox");
    run.recipient(Recipient { mailbox, parameters: Vec::new() }).await;
    let mut writer = MessageWriter::default();
    writer.push(format!("{fields}\r\nX-Repeat: {times}\r\n\r\nbody\r\n").as_bytes());
    let message = writer.finish(&std::env::temp_dir()).expect("a message in memory");
    let begin = Instant::now();
    let decision = run.message(message).await;
    let time = begin.elapsed();
    let MessageDecision::Refuse(reply) = decision else { panic!("{fields}: {decision:?}") };
    assert!(reply.to_string().contains(expected), "{fields}: {reply}");
    run.close_transaction();
    time
}

fn measure(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let engine = Engine::new(&EngineConfig { instances: 16, ..EngineConfig::default() }).expect("an engine");
    let server = server();
    let mut group = criterion.benchmark_group("service");
    for (name, component, fields, expected) in [
        ("none: a turn of the guest's loop", "http-client", "X-Nothing: x".to_owned(), "nothing"),
        ("secrets: a value", "http-client", "X-Secret: own".to_owned(), "6b3379"),
        ("secrets: HMAC of 32 octets", "http-client", "X-Sign: own 0123456789abcdef0123456789abcdef".to_owned(), " "),
        ("metrics: a counter", "wasi-http", "X-Count: mails".to_owned(), "Ok"),
        ("http: fetch, kept connection", "http-client", format!("X-Fetch: GET http://{server}/"), "200 5 hello"),
        ("http: wasi:http, kept connection", "wasi-http", format!("X-Wasi: GET http {server} /"), "200 5 hello"),
    ] {
        let plugin = plugin(&runtime, &engine, component, server);
        let entry = Entry { plugin, on_failure: OnFailure::default() };
        let chain = Arc::new(Chain::new("main".to_owned(), vec![entry]));
        let mut run = Run::new(chain, session());
        group.bench_function(name, |bench| {
            bench.iter_custom(|times| runtime.block_on(deed(&mut run, &fields, times, expected)))
        });
    }
    let plugin = plugin(&runtime, &engine, "wasi-http", server);
    group.bench_function("http: a request answered, fresh instance", |bench| {
        bench.iter_custom(|times| runtime.block_on(answered(&plugin, times)))
    });
    group.finish();
}

/// Requests that the guest answers, without the socket.
async fn answered(plugin: &Arc<Plugin>, times: u64) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        let body: RequestBody = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        let request = hyper::Request::get("http://mx.example.org/hello").body(body).expect("a request");
        let response = plugin.respond(request, session(), 1 << 20).await.expect("it answers");
        assert_eq!(response.status(), 200);
    }
    begin.elapsed()
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = measure
}
criterion_main!(benches);
