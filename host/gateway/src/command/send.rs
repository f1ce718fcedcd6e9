//! `postgate send`: a test client. It sends a message by SMTP (RFC 5321) or LMTP (RFC 2033), by DATA or BDAT (RFC 3030), and shows what both sides say and what
//! became of each recipient.
//!
//! The protocol is `postgate_smtp::client`, its socket and clocks are those of relays (`postgate_plugin::Wire`). What is here is the command line
//! (`arguments.rs`, `plan.rs`), the message (`message.rs`), the way of one message (`delivery.rs`), what is shown (`show.rs`), written down (`record.rs`) and told in the
//! end (`report.rs`), and many messages at once (`load.rs`).

mod arguments;
mod delivery;
mod load;
mod message;
mod plan;
mod record;
mod report;
mod show;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use postgate_plugin::WireWitness;
use tokio::runtime::Runtime;

pub(super) use arguments::Send;
use delivery::{Delivery, Ways};
use plan::{Plan, usage};
use record::Record;
use report::Report;
use show::{Form, Show};

use super::{Exit, Failure, to_json};

/// Sends, tells, and ends as what was told says.
pub(super) fn send(arguments: &Send) -> Result<String, Failure> {
    let is_load = arguments.count > 1 || arguments.connections > 1;
    if is_load && (arguments.record.is_some() || arguments.quit_after.is_some()) {
        return Err(usage("--record and --quit-after are about one message on one connection"));
    }
    let plan = Arc::new(Plan::new(arguments)?);
    let runtime = Runtime::new();
    let runtime = runtime.map_err(|error| Failure::new(Exit::System, format!("no threads can be made: {error}")))?;
    if is_load {
        let summary = runtime.block_on(load::run(&plan, arguments.count, arguments.connections));
        tell(&if arguments.json { to_json(&summary.json())? } else { summary.text() })?;
        return ended(summary.exit(), summary.error());
    }
    one(arguments, &plan, &runtime)
}

/// One message, with all that is said.
fn one(arguments: &Send, plan: &Arc<Plan>, runtime: &Runtime) -> Result<String, Failure> {
    let form = match (arguments.quiet, arguments.json) {
        (true, _) => Form::Nothing,
        (false, true) => Form::Collected,
        (false, false) => Form::Lines,
    };
    let copy = plan.message.copy(0);
    let record = arguments.record.as_ref().map(|path| Record::new(path.clone(), plan, copy.clone()));
    let show = Arc::new(Mutex::new(Show::new(form, copy.clone(), record)));
    let locked = || show.lock().unwrap_or_else(PoisonError::into_inner);
    if plan.message.mended > 0 {
        locked().note(&format!("{} lines ended with LF alone, and are sent with CRLF", plan.message.mended));
    }
    let begin = Instant::now();
    let delivery = runtime.block_on(async {
        let witness = || -> Option<Box<WireWitness>> {
            let show = show.clone();
            Some(Box::new(move |told| show.lock().unwrap_or_else(PoisonError::into_inner).told(told)))
        };
        let reached = |reached| locked().reached(reached);
        let ways = Ways { witness: &witness, reached: &reached };
        let mut wire = None;
        let delivery: Delivery = delivery::deliver(plan, &mut wire, &copy, &ways).await;
        if let Some(wire) = wire {
            wire.part().await;
        }
        delivery
    });
    let time = begin.elapsed();
    let (transcript, tls, record) = locked().end();
    if let Some(record) = record {
        record.write()?;
    }
    let report = Report { plan, delivery, transcript, tls, time };
    tell(&if arguments.json { to_json(&report.json())? } else { report.text() })?;
    ended(report.exit(), report.error())
}

/// Everything else has been said already.
fn ended(exit: Option<Exit>, error: Option<String>) -> Result<String, Failure> {
    match exit {
        None => Ok(String::new()),
        Some(exit) => Err(Failure::new(exit, error.unwrap_or_default())),
    }
}

fn tell(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // Who closes the pipe has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Output, format!("output can't be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
