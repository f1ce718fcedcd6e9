//! What plugins keep: the key-value store, by its own interface and the standard one, and the SQLite database. Real guests, real files,
//! a clock that tests set.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use postgate_plugin::Clock;

use crate::support::process::Process;
use crate::support::{self, Client, Gateway, component, log, one_chain, plugin};

/// Seconds that pass when a test says so.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000)))
    }

    pub(crate) fn clock(&self) -> Clock {
        let seconds = self.0.clone();
        Clock::new(move || UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed)))
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn site(name: &str, grants: &str) -> String {
    let plugins = [plugin(name, "storage", grants), plugin("delivery", "discard", "[]")];
    one_chain(&format!("[\"{name}\", \"delivery\"]"), &plugins.concat())
}

fn greeted(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client
}

/// Says each command, and looks at the reply's text.
#[track_caller]
fn check(client: &mut Client, verb: &str, steps: &[(&str, &str)]) {
    for (command, expected) in steps {
        let reply = client.say(&format!("{verb} {command}"));
        let text: Vec<&str> = reply.lines().map(|line| line.get(10..).unwrap_or(line)).collect();
        assert!(text.join("\n").starts_with(expected), "{command}: expected {expected}, got {reply}");
    }
}

#[test]
fn a_store_keeps_what_it_is_given() {
    let time = Time::new();
    let gateway = Gateway::start_at(&site("kv", GRANTS), tempfile::tempdir().unwrap(), time.clock());
    let mut client = greeted(&gateway);
    check(
        &mut client,
        "XKV",
        &[
            ("get a", "none"),
            ("set a one", "()"),
            ("get a", "one"),
            ("replace a two three", "false"),
            ("replace a one two", "true"),
            ("add n 40", "40"),
            ("add n 2", "42"),
            ("add a 1", "ServiceError::Invalid"),
            ("set b brief 10", "()"),
            ("keys b", "b"),
            ("delete a", "true"),
            ("delete a", "false"),
        ],
    );
    time.pass(10);
    check(&mut client, "XKV", &[("get b", "none"), ("keys -", ""), ("get n", "42")]);
    drop(client);
    let (_, data) = gateway.stop_keeping_data();
    assert!(data.path().join("stores/kv.db").exists());
    // Another run of the gateway, the same directory.
    let again = Gateway::start_at(&site("kv", GRANTS), Arc::into_inner(data).unwrap(), time.clock());
    check(&mut greeted(&again), "XKV", &[("get n", "42"), ("get a", "none")]);
}

#[test]
fn stores_are_apart_unless_they_are_one() {
    let grants = |store: &str| format!("[\"sqlite\", {{ key-value = {{ store = \"{store}\" }} }}]");
    let text = |first: &str, second: &str| {
        let listener =
            "[listener.other]\nbind = \"127.0.0.1:0\"\nchain = \"other\"\n[chain.other]\nplugins = [\"b\"]\n";
        let plugins = [plugin("a", "storage", &grants(first)), plugin("b", "storage", &grants(second))].concat();
        one_chain("[\"a\"]", &format!("{listener}{plugins}"))
    };
    for (second, heard) in [("shared", "one"), ("own", "none")] {
        let gateway = Gateway::start(&text("shared", second));
        let mut client = Client::connect(gateway.addresses["smtp"]);
        let mut other = Client::connect(gateway.addresses["other"]);
        check(&mut client, "XKV", &[("set a one", "()")]);
        check(&mut other, "XKV", &[("get a", heard)]);
    }
}

#[test]
fn a_store_is_as_large_as_allowed() {
    let gateway = Gateway::start(&site("kv", "[\"sqlite\", { key-value = { size = \"100 KiB\" } }]"));
    let mut client = greeted(&gateway);
    check(&mut client, "XKV", &[("fill", "101 ServiceError::Quota(\"size"), ("keys fill-10", "fill-10,fill-100")]);
    let gateway = Gateway::start(&site("kv", "[\"sqlite\", { key-value = { entries = 7 } }]"));
    check(&mut greeted(&gateway), "XKV", &[("fill", "7 ServiceError::Quota(\"entries")]);
}

#[test]
fn the_standard_interface_is_the_same_store() {
    let plugins = plugin("kv", "wasi-key-value", "[\"key-value\"]");
    let gateway = Gateway::start(&one_chain("[\"kv\"]", &plugins));
    let mut client = greeted(&gateway);
    check(
        &mut client,
        "XOPEN",
        &[("-", "open"), ("kv", "open"), ("other", "Error::NoSuchStore"), ("../kv", "Error::NoSuchStore")],
    );
    let reply = client.say("XALL");
    let text: Vec<&str> = reply.lines().map(|line| line.get(10..).unwrap_or(line)).collect();
    let expected = ["one", "true", "none", "false", "2,none,three", "42"];
    assert_eq!(text[..6], expected, "{reply}");
    assert!(text[6].contains("not a number") && text[7] == "b,c None" && text[8] == "[]", "{reply}");
    check(&mut client, "XADD", &[("", "1"), ("", "2")]);
}

#[test]
fn who_was_granted_nothing_is_refused() {
    for (guest, grants, import) in [
        ("storage", "[\"key-value\"]", "postgate:mail/sqlite@0.1.0"),
        ("storage", "[\"sqlite\"]", "postgate:mail/key-value@0.1.0"),
        ("wasi-key-value", "[]", "wasi:keyvalue/"),
    ] {
        let problem = support::load(&one_chain("[\"a\"]", &plugin("a", guest, grants))).unwrap_err();
        assert!(problem.contains(&format!("imports {import}")) && problem.contains("was not granted"), "{problem}");
    }
}

#[test]
fn files_that_cannot_be_used_are_told_at_the_grant() {
    for (grant, file) in [("key-value", "stores/kv.db"), ("sqlite", "databases/kv.db")] {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, [b'x'; 4096]).unwrap();
        let other = if grant == "sqlite" { "key-value" } else { "sqlite" };
        let config = support::config(&site("kv", &format!("[\"{other}\", \"{grant}\"]")), data.path()).unwrap();
        let problem = support::runtime().block_on(postgate::site::Site::load(&config)).map(drop).unwrap_err();
        let problem = problem.to_string();
        assert!(
            problem.contains("not a database") && problem.contains(file) && problem.contains("grants = "),
            "{problem}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), [b'x'; 4096], "it is left as it was");
    }
}

const GRANTS: &str = "[\"key-value\", \"sqlite\"]";

fn database() -> Gateway {
    Gateway::start(&site("db", GRANTS))
}

#[test]
fn a_database_keeps_rows() {
    let gateway = database();
    let mut client = greeted(&gateway);
    check(
        &mut client,
        "XDB",
        &[
            ("script CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL UNIQUE); CREATE INDEX i ON t (b)", "()"),
            ("do INSERT INTO t (b) VALUES ('x'), ('y')", "2 changed, row 2"),
            ("do INSERT INTO t (b) VALUES ('x')", "SqliteError::Constraint(\"UNIQUE constraint failed: t.b\")"),
            ("do INSERT INTO t (b) VALUES (NULL)", "SqliteError::Constraint(\"NOT NULL"),
            ("ask SELECT a, b FROM t ORDER BY a", "1|x 2|y"),
            ("ask SELEKT 1", "SqliteError::Statement(\"near"),
            ("ask SELECT 1; SELECT 2", "SqliteError::Statement(\"Multiple"),
            ("ask SELECT \"nothing\"", "SqliteError::Statement(\"no such column"),
            ("count", "SqliteError::Statement(\"2 parameters"),
            ("values", "true"),
            (
                "ask WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10001) SELECT i FROM n",
                "SqliteError::Service(ServiceError::Quota(\"more than 10000 rows",
            ),
            ("ask SELECT zeroblob(3000000)", "SqliteError::Service(ServiceError::Quota(\"more octets"),
            ("ask SELECT length(zeroblob(30000000))", "SqliteError::Service(ServiceError::Quota("),
        ],
    );
}

#[test]
fn transactions_end_with_the_hook() {
    let gateway = database();
    let (mut client, mut other) = (greeted(&gateway), greeted(&gateway));
    check(
        &mut client,
        "XDB",
        &[
            ("script CREATE TABLE t (a UNIQUE)", "()"),
            ("commit", "SqliteError::Statement(\"no transaction"),
            ("begin ;; begin", "()\nSqliteError::Statement(\"a transaction is open"),
            ("begin ;; do INSERT INTO t VALUES (1) ;; ask SELECT a FROM t", "()\n1 changed, row 1\n1"),
            ("ask SELECT count(*) FROM t", "0"),
            ("begin ;; do INSERT INTO t VALUES (1) ;; commit", "()\n1 changed, row 1\n()"),
            ("begin ;; do INSERT INTO t VALUES (2) ;; rollback ;; ask SELECT a FROM t", "()\n1 changed, row 2\n()\n1"),
            ("begin ;; do SAVEPOINT s ;; do INSERT INTO t VALUES (3) ;; do ROLLBACK TO s ;; commit", "()"),
            ("ask SELECT a FROM t", "1"),
            ("do SAVEPOINT s", "SqliteError::Statement(\"a savepoint"),
            ("do BEGIN", "SqliteError::Statement(\"not authorized"),
            ("script CREATE TABLE u (a); INSERT INTO t VALUES (1)", "SqliteError::Constraint"),
            ("ask SELECT count(*) FROM sqlite_schema WHERE name = 'u'", "0"),
        ],
    );
    let reply = client.say("XDB begin ;; do INSERT INTO t VALUES (7) ;; trap");
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    // The transaction of a plugin that failed holds up nobody.
    check(&mut other, "XDB", &[("do INSERT INTO t VALUES (8)", "1 changed"), ("ask SELECT a FROM t", "1 8")]);
}

#[test]
fn nothing_but_the_database_can_be_reached() {
    let gateway = database();
    let mut client = greeted(&gateway);
    for statement in [
        "ATTACH '/etc/passwd' AS p",
        "ATTACH ':memory:' AS p",
        "DETACH main",
        "VACUUM INTO '/tmp/copy.db'",
        "VACUUM",
        "PRAGMA journal_mode = OFF",
        "PRAGMA trusted_schema = ON",
        "PRAGMA writable_schema = ON",
        "PRAGMA max_page_count = 1000000",
        "PRAGMA temp_store_directory = '/etc'",
        "PRAGMA hard_heap_limit = 0",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT fts3_tokenizer('simple')",
        "CREATE VIRTUAL TABLE v USING csv(filename = '/etc/passwd')",
        "CREATE VIRTUAL TABLE v USING dbstat",
        "CREATE VIRTUAL TABLE v USING fts5(a)",
        "CREATE VIRTUAL TABLE v USING rtree(i, a, b)",
        "CREATE TEMP TABLE t (a)",
        "CREATE TABLE temp.t (a)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "SELECT json_patch('{}', '{}')",
        "SELECT unhex('aa', 'b')",
        "UPDATE sqlite_schema SET sql = 'x'",
        ".load /tmp/x.so",
        "COMMIT",
    ] {
        check(&mut client, "XDB", &[(&format!("do {statement}"), "SqliteError::Statement(")]);
    }
    check(
        &mut client,
        "XDB",
        &[
            ("ask SELECT count(*) FROM pragma_table_info('sqlite_schema')", "5"),
            ("do PRAGMA user_version = 3", "0 changed"),
            ("ask PRAGMA user_version", "3"),
            ("do CREATE VIEW v AS SELECT trim(replace('aXa', 'X', 'b'), 'a') AS a", ""),
            ("ask SELECT a, instr(a, 'b') FROM v", "b|1"),
        ],
    );
}

/// A statement without an end stops at the deadline, and costs the other sessions nothing.
#[test]
fn an_endless_statement_is_interrupted() {
    let limits = "[plugin.db.limits]\ndeadline = \"1 s\"\n";
    let gateway =
        Gateway::start(&format!("{}{limits}", site("db", "[\"key-value\", { sqlite = { connections = 2 } }]")));
    let mut busy = greeted(&gateway);
    let mut client = greeted(&gateway);
    check(&mut client, "XDB", &[("script CREATE TABLE t (a)", "()")]);
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0";
    busy.send(format!("XDB ask {endless}\r\n").as_bytes());
    for _ in 0..10 {
        check(&mut client, "XDB", &[("do INSERT INTO t VALUES (1)", "1 changed")]);
    }
    assert!(busy.reply().starts_with("451 4.3.0"));
    let failed = log::lines(&["plugin failed", "\"plugin\":\"db\"", "deadline"]);
    assert!(!failed.is_empty());
    // Both connections are free again: two more statements, one after the other, and each in time.
    for _ in 0..2 {
        assert!(busy.say(&format!("XDB ask {endless}")).starts_with("451 4.3.0"));
    }
    let begin = Instant::now();
    check(&mut busy, "XDB", &[("ask SELECT count(*) FROM t", "10")]);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_database_is_as_large_as_allowed() {
    let gateway = Gateway::start(&site("db", "[\"key-value\", { sqlite = { size = \"1 MiB\" } }]"));
    let mut client = greeted(&gateway);
    check(
        &mut client,
        "XDB",
        &[("fill", "10 SqliteError::Full"), ("do DELETE FROM fill", "10 changed"), ("fill", "10 SqliteError::Full")],
    );
    let size = std::fs::metadata(gateway.data.path().join("databases/db.db")).unwrap().len();
    assert!(size <= 1 << 20, "{size}");
}

#[test]
fn two_writers_take_turns() {
    let gateway = database();
    check(&mut greeted(&gateway), "XDB", &[("script CREATE TABLE n (i); INSERT INTO n VALUES (0)", "()")]);
    let address = gateway.address;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..20 {
                    let reply = client.say("XDB begin ;; do UPDATE n SET i = i + 1 ;; commit");
                    assert!(reply.ends_with("()"), "{reply}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    check(&mut greeted(&gateway), "XDB", &[("ask SELECT i FROM n", "80")]);
}

#[test]
fn a_damaged_database_is_unavailable() {
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_in(&site("db", GRANTS), data);
    check(
        &mut greeted(&gateway),
        "XDB",
        &[("script CREATE TABLE t (a); INSERT INTO t VALUES (1)", "()"), ("fill", "")],
    );
    let (_, data) = gateway.stop_keeping_data();
    let path = data.path().join("databases/db.db");
    let mut octets = std::fs::read(&path).unwrap();
    for page in octets.chunks_mut(4096).skip(1) {
        page.fill(0x55);
    }
    std::fs::write(&path, &octets).unwrap();
    let gateway = Gateway::start_in(&site("db", GRANTS), Arc::into_inner(data).unwrap());
    check(
        &mut greeted(&gateway),
        "XDB",
        &[("ask SELECT a FROM t", "SqliteError::Service(ServiceError::Unavailable(\"database disk image is malformed")],
    );
    assert!(!log::lines(&["database failed", "malformed"]).is_empty());
}

/// The octets of memory that all databases may use together are bounded, and one that wants more harms no other.
#[test]
fn memory_of_statements_is_bounded() {
    let gateway = Gateway::start(&site("db", "[\"key-value\", { sqlite = { connections = 1 } }]"));
    let mut client = greeted(&gateway);
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000)";
    check(
        &mut client,
        "XDB",
        &[
            // One value, and one that is made of many.
            ("ask SELECT length(randomblob(9000000))", "SqliteError::Service(ServiceError::Quota("),
            (&format!("ask {rows} SELECT length(group_concat(hex(zeroblob(1000)))) FROM n"), "SqliteError::Service("),
            // The database is as usable as before, and so is the store.
            ("script CREATE TABLE u (a); INSERT INTO u VALUES (1)", "()"),
            ("ask SELECT a FROM u", "1"),
        ],
    );
    check(&mut client, "XKV", &[("add n 1", "1")]);
}

/// Another process has the file: whoever asks hears so within the deadline, and all is well when it is free again.
#[test]
fn a_file_that_another_process_holds() {
    let gateway = Gateway::start(&site("kv", GRANTS));
    let mut client = greeted(&gateway);
    check(&mut client, "XKV", &[("set a one", "()")]);
    check(&mut client, "XDB", &[("script CREATE TABLE t (a); INSERT INTO t VALUES (1)", "()")]);
    for (file, verb, write, read, seen) in [
        ("stores/kv.db", "XKV", "set a two", "get a", "one"),
        ("databases/kv.db", "XDB", "do UPDATE t SET a = 2", "ask SELECT a FROM t", "1"),
    ] {
        // SQLite locks by the process, and so does this one against its own other connections.
        let other = rusqlite::Connection::open(gateway.data.path().join(file)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let reply = client.say(&format!("{verb} {write}"));
        assert!(reply.contains("ServiceError::Unavailable(") && reply.contains("locked"), "{reply}");
        // Reading goes on.
        check(&mut client, verb, &[(read, seen)]);
        other.execute_batch("ROLLBACK").unwrap();
        drop(other);
        assert!(!client.say(&format!("{verb} {write}")).contains("Error"));
        assert!(!client.say(&format!("{verb} {read}")).contains(seen));
    }
    assert!(!log::lines(&["store failed", "locked"]).is_empty());
}

/// What was answered is there when the process dies in the midst of writes, whole, and it starts again.
///
/// The death of a process takes nothing from the system's cache: of what was answered nothing at all may be missing. That a store also
/// syncs within a second is the matter of a unit test.
#[test]
fn what_was_written_survives_the_process() {
    let data = tempfile::tempdir().unwrap();
    let storage = format!("plugin.kv.component={}", component("storage").display());
    let grants = format!("plugin.kv.grants={GRANTS}");
    let chain = "chain.main.plugins=[\"kv\", \"auth\", \"policy\", \"delivery\"]";
    let settings = [storage.as_str(), &grants, chain];
    let process = Process::start(data.path(), &settings);
    let mut client = Client::connect(process.address);
    check(&mut client, "XDB", &[("script CREATE TABLE t (worker, n, half, UNIQUE (worker, n, half))", "()")]);
    let address = process.address;
    let written: Vec<Arc<AtomicU64>> = (0..4).map(|_| Arc::default()).collect();
    let workers: Vec<_> = written
        .iter()
        .enumerate()
        .map(|(worker, written)| {
            let written = written.clone();
            std::thread::spawn(move || {
                let broken = write_without_end(address, worker, &written).unwrap_err();
                assert!(
                    broken.kind() != io::ErrorKind::TimedOut && broken.kind() != io::ErrorKind::WouldBlock,
                    "{broken}"
                );
            })
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    while written.iter().any(|written| written.load(Ordering::Relaxed) < 10) {
        assert!(Instant::now() < deadline, "they write");
        std::thread::yield_now();
    }
    process.kill();
    workers.into_iter().for_each(|worker| worker.join().expect("the gateway answers until it is gone"));

    let store = rusqlite::Connection::open(data.path().join("stores/kv.db")).unwrap();
    let database = rusqlite::Connection::open(data.path().join("databases/kv.db")).unwrap();
    for file in [&store, &database] {
        let verdict: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }
    let counted = "SELECT entries = (SELECT count(*) FROM entry) AND \
        octets = (SELECT sum(length(key) + length(value)) FROM entry) FROM total";
    assert!(store.query_row(counted, [], |row| row.get::<_, bool>(0)).unwrap(), "what is counted is what is there");
    for (worker, written) in (0_i64..).zip(&written) {
        let written = i64::try_from(written.load(Ordering::Relaxed)).unwrap();
        // The one that was under way may be there, or not.
        let allowed = written..=written + 1;
        let entry = "SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM entry WHERE key = CAST(? AS BLOB)";
        let number: i64 = store.query_row(entry, [format!("n{worker}")], |row| row.get(0)).unwrap();
        assert!(allowed.contains(&number), "{number} of {written}");
        let rows = "SELECT count(*), count(DISTINCT n), max(n) FROM t WHERE worker = ?";
        let (rows, pairs, last): (i64, i64, i64) =
            database.query_row(rows, [worker], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert!(rows == 2 * pairs && last == pairs && allowed.contains(&last), "{rows} {pairs} {last} of {written}");
    }
    drop((store, database));

    let again = Process::start(data.path(), &settings);
    let reply = Client::connect(again.address).say("XKV add n0 0");
    let number: u64 = reply.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(number >= written[0].load(Ordering::Relaxed), "{reply}");
}

/// Adds one to an entry and two rows to the database, and tells how often both were answered.
fn write_without_end(address: SocketAddr, worker: usize, written: &AtomicU64) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    reply(&mut reader)?;
    for n in 1_u64.. {
        let insert = |half: &str| format!("do INSERT INTO t VALUES ({worker}, {n}, '{half}')");
        for command in
            [format!("XKV add n{worker} 1"), format!("XDB begin ;; {} ;; {} ;; commit", insert("a"), insert("b"))]
        {
            reader.get_mut().write_all(format!("{command}\r\n").as_bytes())?;
            let text = reply(&mut reader)?;
            assert!(text.starts_with("250") && !text.contains("Error"), "{command}: {text}");
        }
        written.store(n, Ordering::Relaxed);
    }
    Ok(())
}

/// A reply, all its lines; none is the end of the process.
fn reply(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let is_last = line.as_bytes().get(3) == Some(&b' ');
        text.push_str(&line);
        if is_last {
            return Ok(text);
        }
    }
}
