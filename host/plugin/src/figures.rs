//! What plugins cost, counted as it happens, and told in the exposition format of Prometheus when somebody asks.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::component::Plugin;
use crate::failure::Cause;
use crate::hook::Hook;
use crate::service::SERVICES;

/// The calls of one plugin, by hook.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    rows: [Row; Hook::ALL.len()],
}

#[derive(Debug, Default)]
struct Row {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    fuel: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
}

impl Calls {
    /// A call has ended, well or badly.
    pub(crate) fn ended(&self, hook: Hook, time: Duration, fuel: u64) {
        let row = self.row(hook);
        row.calls.fetch_add(1, Ordering::Relaxed);
        row.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        row.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    /// A policy had to speak for the plugin.
    pub(crate) fn failed(&self, hook: Hook, cause: Cause) {
        self.row(hook).failures[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn row(&self, hook: Hook) -> &Row {
        // There is a row for every hook, in the order of the enum.
        &self.rows[hook as usize]
    }
}

/// What these plugins have cost, and their own figures, as Prometheus reads them.
pub fn exposition<'a>(plugins: impl Iterator<Item = &'a Arc<Plugin>> + Clone) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = hooks(&mut text, plugins.clone());
    let _ = services(&mut text, plugins.clone());
    if let Some(plugin) = plugins.clone().next() {
        text += &plugin.facts.metrics.render();
    }
    text
}

/// The lines before the rows of a family.
fn family(text: &mut String, name: &str, help: &str) -> fmt::Result {
    write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n")
}

type HookFigure = fn(&Row) -> f64;

fn hooks<'a>(text: &mut String, plugins: impl Iterator<Item = &'a Arc<Plugin>> + Clone) -> fmt::Result {
    let figures: [(&str, &str, HookFigure); 3] = [
        ("postgate_hook_calls_total", "Calls of plugins.", |row| count(&row.calls)),
        ("postgate_hook_seconds_total", "Wall-clock time in calls of plugins.", |row| seconds(&row.nanoseconds)),
        ("postgate_hook_fuel_total", "Fuel burnt in calls of plugins.", |row| count(&row.fuel)),
    ];
    let rows = plugins.flat_map(|plugin| plugin.hooks().iter().map(move |hook| (plugin, hook)));
    for (name, help, figure) in figures {
        family(text, name, help)?;
        for (plugin, hook) in rows.clone() {
            let value = figure(plugin.facts.calls.row(hook));
            writeln!(text, "{name}{{plugin=\"{}\",hook=\"{hook}\"}} {value}", plugin.name())?;
        }
    }
    let name = "postgate_hook_failures_total";
    family(text, name, "Calls that a failure policy had to speak for.")?;
    for (plugin, hook) in rows {
        for cause in Cause::ALL {
            let value = count(&plugin.facts.calls.row(hook).failures[cause as usize]);
            writeln!(text, "{name}{{plugin=\"{}\",hook=\"{hook}\",cause=\"{cause}\"}} {value}", plugin.name())?;
        }
    }
    Ok(())
}

fn services<'a>(text: &mut String, plugins: impl Iterator<Item = &'a Arc<Plugin>> + Clone) -> fmt::Result {
    let rows = plugins.flat_map(|plugin| {
        let granted = SERVICES.iter().filter(|service| service.is_granted(plugin.grants()));
        granted.map(move |service| (plugin.name(), service.name, plugin.usage().of(service.id)))
    });
    type Figure = fn(crate::service::usage::Used) -> f64;
    let figures: [(&str, &str, Figure); 4] = [
        ("postgate_service_calls_total", "Calls of host services.", |used| used.calls as f64),
        ("postgate_service_seconds_total", "Wall-clock time in host services.", |used| used.time.as_secs_f64()),
        ("postgate_service_octets_total", "Octets in and out of host services.", |used| used.octets as f64),
        ("postgate_service_refused_total", "Calls over a plugin's bound of them.", |used| used.refused as f64),
    ];
    for (name, help, figure) in figures {
        family(text, name, help)?;
        for (plugin, service, used) in rows.clone() {
            writeln!(text, "{name}{{plugin=\"{plugin}\",service=\"{service}\"}} {}", figure(used))?;
        }
    }
    Ok(())
}

fn count(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn seconds(nanoseconds: &AtomicU64) -> f64 {
    Duration::from_nanos(nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
}
