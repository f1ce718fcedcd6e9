//! A guest in an endless loop costs its own session, and no other.

use std::sync::Arc;

use postgate_plugin::{
    Chain, Decision, Engine, EngineConfig, Entry, Grants, Hook, Keep, Limits, OnFailure, Plugin, PluginConfig, Run,
    SessionFacts,
};

use crate::support::{component, target};

/// On one thread, set up as the gateway's own, while a loop burns fuel for two thousand turns another session makes two hundred calls, and
/// between any two lets input and output come first (every 4 turns). Counted, not timed: a loop that did not give way would
/// have ended before the first of them.
#[test]
fn a_loop_gives_way_to_other_sessions() {
    let runtime = tokio::runtime::Builder::new_current_thread().event_interval(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let config =
            EngineConfig { instances: 4, cache: Some(target().join("tmp/compiled")), ..EngineConfig::default() };
        let engine = Engine::new(&config).unwrap();
        let plugin = Plugin::load(&engine, misbehave(2_000_000_000)).await.unwrap();
        assert!(plugin.hooks().contains(Hook::Recipient));
        let entry = Entry { plugin, on_failure: OnFailure::default() };
        let chain = Arc::new(Chain::new("main".into(), vec![entry]));

        // A pure loop gives way by its fuel; loops that keep the host busy burn little of it, and give way by time.
        for (word, calls) in [("loop", 200), ("print-loop", 50), ("spin", 50)] {
            let burning = tokio::spawn(ask(chain.clone(), &format!("{word}@example.org"), 1));
            let served = tokio::spawn(ask(chain.clone(), "bob@example.org", calls)).await.unwrap();
            assert!(!burning.is_finished(), "{word} should still burn");
            assert_eq!(served, vec![Decision::Accept; calls], "beside {word}");
            burning.abort();
            assert!(burning.await.unwrap_err().is_cancelled());
        }
    });
}

/// Asks about a recipient, so many times, each time giving way to the other task.
fn ask(chain: Arc<Chain>, recipient: &str, times: usize) -> impl Future<Output = Vec<Decision>> + Send + use<> {
    let recipient: postgate_smtp::Mailbox = recipient.parse().unwrap();
    let address = "127.0.0.1:25".parse().unwrap();
    let (listener, id) = ("smtp".into(), "1".into());
    let session = SessionFacts {
        id,
        listener,
        hostname: "mx.example.org".into(),
        remote: address,
        local: address,
        hello: None,
        tls: None,
        identity: None,
        early_talker: false,
        illegal_pipelining: 0,
    };
    let mut run = Run::new(chain, session);
    async move {
        let mut decisions = Vec::new();
        for _ in 0..times {
            let recipient = postgate_smtp::Recipient { mailbox: recipient.clone(), parameters: Vec::new() };
            decisions.push(run.recipient(recipient).await);
            tokio::task::yield_now().await;
        }
        decisions
    }
}

fn misbehave(fuel: u64) -> PluginConfig {
    PluginConfig {
        name: "misbehave".into(),
        component: component("misbehave"),
        sha256: None,
        grants: Grants { log: true, ..Grants::default() },
        config: serde_json::json!({}),
        limits: Limits { fuel, ..Limits::default() },
        keep: Keep::Session,
    }
}
