//! `postgate:mail/metrics`: figures of a plugin, in the exposition format of Prometheus.
//!
//! In that format a name has one kind, whoever uses it: a counter's ends in `_total`, and no other does, so that counters never collide
//! with the rest. Each plugin has its own label, and so many figures. What Prometheus' own tool objects to, `promtool check metrics`, is refused
//! when it is named: nobody else could mend it later.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::ServiceId;
use crate::bindings::postgate::mail::metrics::Host;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// The figures of all plugins.
pub(crate) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    kinds: Mutex<HashMap<String, Kind>>,
}

/// The figures that a plugin has.
#[derive(Default)]
pub(crate) struct Figures(Mutex<HashSet<Key>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS).expect("invariant: there are buckets");
        let recorder = builder.build_recorder();
        Self { handle: recorder.handle(), recorder, kinds: Mutex::default() }
    }

    /// All figures, as Prometheus reads them.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// The first use of a name, or another one of the same kind.
    fn claim(&self, full: &str, kind: Kind) -> Result<(), ServiceError> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        match kinds.get(full) {
            Some(known) if *known != kind => {
                return Err(ServiceError::Invalid(format!("{full} is the name of another kind of figure")));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        if kinds.len() >= MAX_NAMES {
            return Err(ServiceError::Quota("the gateway has as many names of figures as it can".to_owned()));
        }
        kinds.insert(full.to_owned(), kind);
        let full = full.to_owned();
        let text = "A figure of a plugin.";
        match kind {
            Kind::Counter => self.recorder.describe_counter(full.into(), None, text.into()),
            Kind::Gauge => self.recorder.describe_gauge(full.into(), None, text.into()),
            Kind::Histogram => self.recorder.describe_histogram(full.into(), None, text.into()),
        }
        Ok(())
    }
}

impl State {
    /// The figure that is meant, if the plugin may have it.
    fn figure(&mut self, name: &str, labels: Vec<(String, String)>, kind: Kind) -> Result<Key, ServiceError> {
        let _metered = self.metered(ServiceId::Metrics)?;
        check(name, &labels, kind)?;
        let facts = &self.facts;
        if !facts.grants.metrics {
            return Err(ServiceError::Denied("metrics is not granted".to_owned()));
        }
        let mut all = vec![Label::new("plugin", facts.name.clone())];
        all.extend(labels.into_iter().map(|(name, value)| Label::new(name, escaped(&value))));
        // The same labels in another order are the same figure.
        all[1..].sort_by(|a, b| a.key().cmp(b.key()));
        facts.figures.figure(&facts.metrics, Key::from_parts(full_name(name, kind), all), kind, facts.limits.figures)
    }
}

impl Figures {
    /// A figure that the plugin has, or one more. Names are all plugins', so none is taken for a figure that there is no room for.
    fn figure(&self, registry: &Registry, key: Key, kind: Kind, most: usize) -> Result<Key, ServiceError> {
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !figures.contains(&key) {
            if figures.len() >= most {
                return Err(ServiceError::Quota("figures: the plugin has so many".to_owned()));
            }
            registry.claim(key.name(), kind)?;
            figures.insert(key.clone());
        }
        Ok(key)
    }
}

/// The name as it is told.
fn full_name(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Counter if !name.ends_with("_total") => format!("{PREFIX}{name}_total"),
        Kind::Counter | Kind::Gauge | Kind::Histogram => format!("{PREFIX}{name}"),
    }
}

impl Host for State {
    fn count(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        by: u64,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        let key = self.figure(&name, labels, Kind::Counter);
        Ok(key.map(|key| self.facts.metrics.recorder.register_counter(&key, &METADATA).increment(by)))
    }

    fn gauge(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        value: f64,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        let key = finite(value).and_then(|()| self.figure(&name, labels, Kind::Gauge));
        Ok(key.map(|key| self.facts.metrics.recorder.register_gauge(&key, &METADATA).set(value)))
    }

    fn observe(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        value: f64,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        let key = finite(value).and_then(|()| self.figure(&name, labels, Kind::Histogram));
        Ok(key.map(|key| {
            let metrics = &self.facts.metrics;
            metrics.recorder.register_histogram(&key, &METADATA).record(value);
            // Observations are gathered until somebody looks; where nobody does, they are summed up here.
            let calls = self.facts.usage.of(ServiceId::Metrics).calls;
            if calls.is_multiple_of(SUM_UP_AFTER) {
                metrics.handle.run_upkeep();
            }
        }))
    }
}

fn finite(value: f64) -> Result<(), ServiceError> {
    if value.is_finite() { Ok(()) } else { Err(ServiceError::Invalid("not a finite number".to_owned())) }
}

fn check(name: &str, labels: &[(String, String)], kind: Kind) -> Result<(), ServiceError> {
    let invalid = |what: &str| Err(ServiceError::Invalid(what.to_owned()));
    if !is_name(name) {
        return invalid("a name has 1 to 64 lower-case letters, digits and _, and does not begin with a digit");
    }
    if let Some(what) = unconventional(name) {
        return invalid(what);
    }
    // With what stands before it, `total` ends so too.
    if kind != Kind::Counter && RESERVED_ENDS.iter().any(|end| format!("_{name}").ends_with(end)) {
        return invalid("names that end in _total, _bucket, _sum or _count are taken by the format");
    }
    if labels.len() > MAX_LABELS {
        return invalid("a figure has at most 4 labels");
    }
    for (at, (label, value)) in labels.iter().enumerate() {
        let again = labels.iter().take(at).any(|(earlier, _)| earlier == label);
        if again || !is_name(label) || label.starts_with("__") || matches!(label.as_str(), "plugin" | "le" | "quantile")
        {
            return invalid("a label has a name like a figure's, once, and neither plugin, le nor quantile");
        }
        if value.len() > MAX_LABEL_BYTES || value.chars().any(char::is_control) {
            return invalid("the value of a label has at most 128 octets, none of them a control character");
        }
    }
    Ok(())
}

/// The recorder takes a backslash in front of a quotation mark or a backslash for an escape that is there already, so that two values would be told
/// as one; those that are there are what it finds.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// What is wrong with a name in the eyes of `promtool`: a word of it is the kind of a figure, an abbreviated unit, or a unit that is not a base unit.
fn unconventional(name: &str) -> Option<&'static str> {
    if name.split('_').any(|word| KINDS.contains(&word)) {
        Some("a name does not say what kind of figure it is")
    } else if name.split('_').any(|word| ABBREVIATED_UNITS.contains(&word)) {
        Some("a name has its unit in full: duration_seconds")
    } else if name.split('_').any(is_derived_unit) {
        Some("a name has a base unit: seconds, bytes, celsius, meters, grams, volts, amperes, joules")
    } else {
        None
    }
}

/// A unit of which Prometheus has a base unit, perhaps with a prefix.
fn is_derived_unit(word: &str) -> bool {
    let is_prefixed = |prefix: &&str| {
        word.strip_prefix(prefix).is_some_and(|unit| BASE_UNITS.contains(&unit) || OTHER_UNITS.contains(&unit))
    };
    OTHER_UNITS.contains(&word) || UNIT_PREFIXES.iter().any(is_prefixed)
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

static METADATA: Metadata<'static> = Metadata::new("postgate::plugin", Level::INFO, None);

const PREFIX: &str = "postgate_plugin_";
const RESERVED_ENDS: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];
const KINDS: &[&str] = &["counter", "gauge", "histogram", "summary"];
const ABBREVIATED_UNITS: &[&str] = &["s", "ms", "us", "ns", "sec", "m", "h", "d", "b", "kb", "mb", "gb", "tb", "pb"];
const BASE_UNITS: &[&str] =
    &["amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "seconds", "volts"];
const OTHER_UNITS: &[&str] = &[
    "minutes",
    "hours",
    "days",
    "weeks",
    "kelvins",
    "fahrenheit",
    "rankine",
    "inches",
    "yards",
    "miles",
    "bits",
    "calories",
    "pounds",
    "ounces",
];
const UNIT_PREFIXES: &[&str] = &[
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi", "giga", "gibi",
    "tera", "tebi", "peta", "pebi",
];
const MAX_LABELS: usize = 4;
const MAX_LABEL_BYTES: usize = 128;
/// Names of all plugins together.
const MAX_NAMES: usize = 10_000;
const SUM_UP_AFTER: u64 = 1000;

/// Upper bounds of a histogram's buckets: for seconds, and for octets.
const BUCKETS: &[f64] =
    &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 1024.0, 10_240.0, 102_400.0, 1_048_576.0, 10_485_760.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels() {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(check("mails_seen", &[label("kind", "a\"b\\c")], Kind::Counter).is_ok());
        for name in ["", "1a", "A", "a-b", "a b", "ä", &"a".repeat(65)] {
            assert!(check(name, &[], Kind::Counter).is_err(), "{name}");
        }
        for name in
            ["a_ms", "s", "a_gauge", "histogram_a", "milliseconds", "a_kilobytes_b", "hours_a", "gibibits", "m_total"]
        {
            assert!(check(name, &[], Kind::Counter).is_err(), "{name}");
        }
        for name in ["a_seconds", "bytes", "mails", "thermometers", "counters"] {
            assert!(check(name, &[], Kind::Gauge).is_ok(), "{name}");
        }
        for name in ["a_total", "a_sum", "a_count", "a_bucket", "total", "count"] {
            assert!(check(name, &[], Kind::Gauge).is_err(), "{name}");
        }
        for labels in [
            vec![label("plugin", "x")],
            vec![label("le", "x")],
            vec![label("__a", "x")],
            vec![label("a", "x"), label("a", "y")],
            vec![label("a", "x\n")],
            vec![label("a", &"x".repeat(129))],
            ["a", "b", "c", "d", "e"].map(|name| label(name, "")).to_vec(),
        ] {
            assert!(check("a", &labels, Kind::Counter).is_err(), "{labels:?}");
        }
    }

    /// Different values are told as different ones.
    #[test]
    fn values_are_told_apart() {
        let registry = Registry::new();
        let values = ["\"", "\\\"", "\\", "\\\\", "\\\\\"", "n", "\\n", "a\\", "a\\\\"];
        for value in values {
            let key = Key::from_parts("a_total", vec![Label::new("v", escaped(value))]);
            registry.recorder.register_counter(&key, &METADATA).increment(1);
        }
        let text = registry.render();
        for value in values {
            // As the format has it: a backslash and a quotation mark have one in front.
            let told = value.replace('\\', "\\\\").replace('"', "\\\"");
            assert!(text.contains(&format!("{{v=\"{told}\"}} 1\n")), "{value:?}:\n{text}");
        }
    }

    #[test]
    fn a_name_has_one_kind() {
        let registry = Registry::new();
        let figures = Figures::default();
        let figure =
            |name: &str, kind: Kind| figures.figure(&registry, Key::from_name(full_name(name, kind)), kind, 10);
        assert_eq!(figure("a", Kind::Counter).unwrap().name(), "postgate_plugin_a_total");
        assert_eq!(figure("a_total", Kind::Counter).unwrap().name(), "postgate_plugin_a_total");
        assert_eq!(figure("a", Kind::Gauge).unwrap().name(), "postgate_plugin_a");
        let other = Figures::default();
        let key = Key::from_parts("postgate_plugin_a", vec![Label::new("plugin", "other")]);
        assert!(other.figure(&registry, key, Kind::Histogram, 10).is_err());
    }

    /// Or one plugin would take the names of all.
    #[test]
    fn a_figure_that_is_refused_takes_no_name() {
        let (registry, figures) = (Registry::new(), Figures::default());
        let figure = |n: usize| figures.figure(&registry, Key::from_name(format!("figure_{n}")), Kind::Gauge, 3);
        assert_eq!((0..MAX_NAMES + 1).filter(|n| figure(*n).is_ok()).count(), 3);
        assert_eq!(registry.kinds.lock().unwrap().len(), 3);
        assert!(figure(0).is_ok());
    }
}
