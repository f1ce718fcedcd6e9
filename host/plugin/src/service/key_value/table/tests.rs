//! Operations on a table with a clock of the test's own.

use super::*;

struct Bench {
    table: Table,
    now_ms: i64,
    _scratch: tempfile::TempDir,
}

impl Bench {
    fn new(size_bytes: u64, entries: u64) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let grant = Grant { name: "test".into(), path: scratch.path().join("s.db"), size_bytes, entries };
        Self { table: Table::open(&grant).unwrap(), now_ms: 1_000_000, _scratch: scratch }
    }

    fn ask(&mut self, operation: Operation) -> Result<Answer, ServiceError> {
        let (mut answers, _) = self.table.batch([operation].iter(), self.now_ms).unwrap();
        answers.pop().unwrap()
    }

    fn get(&mut self, key: &str) -> Option<String> {
        let value = self.ask(Operation::Get { key: key.into() }).unwrap().value().unwrap();
        value.map(|value| String::from_utf8(value).unwrap())
    }

    fn set(&mut self, key: &str, value: &str, expires_after: Option<u32>) -> Result<Answer, ServiceError> {
        self.ask(Operation::Set { key: key.into(), value: value.into(), expires_after })
    }

    fn increment(&mut self, key: &str, by: i64, expires_after: Option<u32>) -> Result<Answer, ServiceError> {
        self.ask(Operation::Increment { key: key.into(), by, expires_after })
    }

    fn keys(&mut self, prefix: &str, after: Option<&str>) -> String {
        let operation = Operation::Keys { prefix: prefix.into(), after: after.map(str::to_owned) };
        self.ask(operation).unwrap().keys().unwrap().join(" ")
    }

    /// The counted total is that of the entries.
    fn check_total(&self) -> Total {
        let counted = total(&self.table.connection).unwrap();
        let real = self.table.connection.query_row(
            "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM entry",
            [],
            |row| Ok(Total { entries: row.get(0)?, octets: row.get(1)? }),
        );
        assert_eq!(counted, real.unwrap());
        counted
    }
}

#[test]
fn entries_come_and_go() {
    let mut bench = Bench::new(1000, 10);
    assert_eq!(bench.get("a"), None);
    bench.set("a", "one", None).unwrap();
    bench.set("a", "two", None).unwrap();
    assert_eq!(bench.get("a").as_deref(), Some("two"));
    assert_eq!(bench.ask(Operation::Delete { key: "a".into() }).unwrap(), Answer::Truth(true));
    assert_eq!(bench.ask(Operation::Delete { key: "a".into() }).unwrap(), Answer::Truth(false));
    assert_eq!(bench.check_total(), Total { entries: 0, octets: 0 });
}

#[test]
fn what_has_expired_is_not_there() {
    let mut bench = Bench::new(1000, 10);
    bench.set("a", "x", Some(10)).unwrap();
    bench.set("b", "x", None).unwrap();
    bench.now_ms += 9_999;
    assert_eq!(bench.get("a").as_deref(), Some("x"));
    assert_eq!(bench.keys("", None), "a b");
    bench.now_ms += 1;
    assert_eq!(bench.get("a"), None);
    assert_eq!(bench.keys("", None), "b");
    assert_eq!(bench.ask(Operation::Delete { key: "a".into() }).unwrap(), Answer::Truth(false));
    bench.set("c", "x", Some(1)).unwrap();
    bench.now_ms += 1000;
    assert_eq!(bench.check_total().entries, 2);
    assert!(!bench.table.purge(bench.now_ms).unwrap());
    assert_eq!(bench.check_total().entries, 1);
}

#[test]
fn increments_keep_their_time() {
    let mut bench = Bench::new(1000, 10);
    assert_eq!(bench.increment("n", 2, Some(10)).unwrap(), Answer::Sum(2));
    bench.now_ms += 9_000;
    assert_eq!(bench.increment("n", -5, Some(10)).unwrap(), Answer::Sum(-3));
    bench.now_ms += 1_000;
    assert_eq!(bench.increment("n", 1, None).unwrap(), Answer::Sum(1), "begins anew");
    bench.set("n", &i64::MAX.to_string(), None).unwrap();
    assert!(matches!(bench.increment("n", 1, None), Err(ServiceError::Invalid(_))));
    for text in ["", "x", "01", "+1", " 1", "1.0"] {
        bench.set("n", text, None).unwrap();
        assert!(matches!(bench.increment("n", 1, None), Err(ServiceError::Invalid(_))), "{text:?}");
    }
    bench.check_total();
}

#[test]
fn replace_compares() {
    let mut bench = Bench::new(1000, 10);
    let mut replace = |expected: Option<&str>, value: &str| {
        let expected = expected.map(|expected| expected.as_bytes().to_vec());
        bench.ask(Operation::Replace { key: "a".into(), expected, value: value.into(), expires_after: None }).unwrap()
    };
    assert_eq!(replace(Some("x"), "y"), Answer::Truth(false));
    assert_eq!(replace(None, "x"), Answer::Truth(true));
    assert_eq!(replace(None, "z"), Answer::Truth(false));
    assert_eq!(replace(Some("x"), "y"), Answer::Truth(true));
    assert_eq!(bench.get("a").as_deref(), Some("y"));
}

#[test]
fn keys_by_prefix_in_order() {
    let mut bench = Bench::new(1_000_000, 5000);
    for key in ["b", "a%", "a_1", "a", "a1", "\u{e4}", "a\u{ff}"] {
        bench.set(key, "x", None).unwrap();
    }
    assert_eq!(bench.keys("a", None), "a a% a1 a_1 a\u{ff}");
    assert_eq!(bench.keys("a", Some("a1")), "a_1 a\u{ff}");
    assert_eq!(bench.keys("a%", None), "a%");
    assert_eq!(bench.keys("", Some("b")), "\u{e4}");
    assert_eq!(bench.keys("c", None), "");
    for n in 0..1500 {
        bench.set(&format!("n{n:04}"), "x", None).unwrap();
    }
    let keys = bench.ask(Operation::Keys { prefix: "n".into(), after: None }).unwrap().keys().unwrap();
    assert_eq!((keys.len(), keys[999].as_str()), (1000, "n0999"));
    let (mut seen, mut after) = (Vec::new(), Some(0));
    while let Some(id) = after {
        let Answer::Page(keys, next) = bench.ask(Operation::Page { after: id }).unwrap() else { panic!("no page") };
        seen.extend(keys);
        after = next;
    }
    assert_eq!(seen.len(), 1507);
}

#[test]
fn both_bounds_hold() {
    let mut bench = Bench::new(20, 3);
    bench.set("a", "123456789", None).unwrap();
    bench.set("b", "123456789", None).unwrap();
    assert!(matches!(bench.set("c", "", None), Err(ServiceError::Quota(bound)) if bound.starts_with("size")));
    assert!(matches!(bench.set("a", "1234567890", None), Err(ServiceError::Quota(_))));
    bench.set("a", "", None).unwrap();
    bench.set("c", "", Some(5)).unwrap();
    assert!(matches!(bench.set("d", "", None), Err(ServiceError::Quota(bound)) if bound.starts_with("entries")));
    bench.now_ms += 5000;
    bench.set("d", "", None).expect("what has expired makes room");
    bench.check_total();
}

#[test]
fn what_is_out_of_bounds_is_invalid() {
    let set = |key: &str, value: usize| Operation::Set { key: key.into(), value: vec![0; value], expires_after: None };
    for (operation, good) in [
        (set("k", 1 << 20), true),
        (set("k", (1 << 20) + 1), false),
        (set("", 1), false),
        (set(&"k".repeat(512), 1), true),
        (set(&"k".repeat(513), 1), false),
        (Operation::Keys { prefix: String::new(), after: None }, true),
        (Operation::Keys { prefix: "k".repeat(513), after: None }, false),
    ] {
        assert_eq!(operation.check().is_ok(), good);
    }
}
