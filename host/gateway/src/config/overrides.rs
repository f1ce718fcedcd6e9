//! `--set KEY=VALUE`: overrides any setting of the file.
//!
//! The key is one of TOML, dotted and quoted as there; a number is a place in a list, and the first free one appends. The
//! value is TOML if it can be read as TOML, otherwise it is a text, so that nobody has to quote `127.0.0.1:2600` twice. A
//! value replaces what was there, tables included.

use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem, Sources};
use super::tree::{Entry, Node, Path, Step, Table, Value};

/// Puts one `--set` into the tree.
pub(super) fn apply(root: &mut Node, sources: &mut Sources, argument: &str) -> Result<(), Problem> {
    let start = sources.add(Origin::Set, argument.to_owned());
    let whole = start..start + argument.len();
    let (key, value) = split(argument).ok_or_else(|| sources.problem(&whole, "expected KEY=VALUE"))?;
    let steps = steps(key).ok_or_else(|| {
        sources
            .problem(&whole, format!("\"{}\" is not a key", key.escape_debug()))
            .note("a key is written as in TOML: plugin.policy.config.domains.\"example.org\".users")
    })?;
    let value_start = start + argument.len() - value.len();
    let node = read(value, value_start).map_err(|message| sources.problem(&whole, message))?;
    put(root, &steps, node, start..start + key.len()).map_err(|problem| match problem {
        Misfit::NotATable { length } => {
            let path = Path(steps.get(..length).unwrap_or_default());
            sources.problem(&whole, format!("`{path}` is not a table")).note(format!("set all of it: {path}=…"))
        }
        Misfit::NoSuchItem { length, items } => {
            let path = Path(steps.get(..length).unwrap_or_default());
            sources.problem(&whole, format!("`{path}` is a list of {items}: expected a number from 0 to {items}"))
        }
    })
}

/// Splits at the first `=` outside quotes.
fn split(argument: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in argument.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '=' => return Some((argument.get(..at)?, argument.get(at + 1..)?)),
            None => {}
        }
    }
    None
}

/// The steps of a dotted key, by the rules of TOML.
fn steps(key: &str) -> Option<Vec<Step>> {
    if key.contains(['\n', '\r', '#', '=']) && !key.contains(['"', '\'']) {
        return None;
    }
    let line = format!("{key}=0");
    let mut table = DeTable::parse(&line).ok()?.into_inner();
    let mut steps = Vec::new();
    loop {
        let mut entries = table.into_iter();
        let (key, value) = entries.next()?;
        if entries.next().is_some() {
            return None;
        }
        steps.push(Step::Key(key.into_inner().into_owned()));
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            DeValue::Integer(_) => return Some(steps),
            DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
                return None;
            }
        }
    }
}

/// The value as TOML, or else as text. What begins like a list, a table or a quoted text is meant to be TOML: its error
/// is told, unless it is an IPv6 address in brackets.
fn read(text: &str, start: usize) -> Result<Node, String> {
    match DeValue::parse(text) {
        Ok(value) => Ok(Node::new(value, start)),
        Err(error) if text.starts_with(['[', '{', '"', '\'']) && !is_bracketed_address(text) => {
            Err(format!("the value is not TOML: {}", error.message()))
        }
        Err(_) => Ok(Node { span: start..start + text.len(), value: Value::Text(text.to_owned()) }),
    }
}

fn is_bracketed_address(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    inner.is_some_and(|inner| inner.contains([':', '.']) && !inner.contains(['"', '\'', ',']))
}

/// Why a value can't be put there; `length` says how much of the path is meant.
enum Misfit {
    NotATable { length: usize },
    NoSuchItem { length: usize, items: usize },
}

fn put(root: &mut Node, steps: &[Step], node: Node, key: std::ops::Range<usize>) -> Result<(), Misfit> {
    let Some((last, outer)) = steps.split_last() else {
        return Ok(());
    };
    let mut at = root;
    for (length, step) in outer.iter().enumerate() {
        at = child(at, step, length, &key)?;
    }
    *child(at, last, outer.len(), &key)? = node;
    Ok(())
}

/// One step inwards; makes the table entry or the next item where there is none.
fn child<'a>(
    node: &'a mut Node,
    step: &Step,
    length: usize,
    key: &std::ops::Range<usize>,
) -> Result<&'a mut Node, Misfit> {
    let empty = Node { span: key.clone(), value: Value::Table(Table::default()) };
    let Step::Key(name) = step else {
        return Err(Misfit::NotATable { length });
    };
    match &mut node.value {
        Value::Table(table) => {
            let entry = table.entries.entry(name.clone());
            Ok(&mut entry.or_insert_with(|| Entry { key: key.clone(), node: empty }).node)
        }
        Value::List(list) => {
            let items = list.items.len();
            let item = name.parse().ok().filter(|item| *item <= items);
            let item: usize = item.ok_or(Misfit::NoSuchItem { length, items })?;
            if item == items {
                list.items.push(empty);
            }
            list.items.get_mut(item).ok_or(Misfit::NoSuchItem { length, items })
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::HugeInteger
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Time(_) => Err(Misfit::NotATable { length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in short, after the overrides.
    fn applied(file: &str, arguments: &[&str]) -> Result<String, String> {
        let mut sources = Sources::default();
        let start = sources.add(Origin::File("f.toml".into()), file.to_owned());
        let mut root = Node::root(DeTable::parse(file).unwrap(), start);
        for argument in arguments {
            apply(&mut root, &mut sources, argument).map_err(|problem| problem.to_string())?;
        }
        Ok(written(&root))
    }

    fn written(node: &Node) -> String {
        match &node.value {
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(n) => n.to_string(),
            Value::Boolean(b) => b.to_string(),
            Value::Float(_) | Value::Time(_) | Value::HugeInteger => node.value.kind().to_owned(),
            Value::List(list) => format!("[{}]", list.items.iter().map(written).collect::<Vec<_>>().join(",")),
            Value::Table(table) => {
                let entries = table.entries.iter().map(|(key, entry)| format!("{key}:{}", written(&entry.node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn any_setting_can_be_set() {
        for (file, arguments, expected) in [
            ("", &["hostname=mx.example.org"] as &[&str], r#"{hostname:"mx.example.org"}"#),
            ("hostname='a'", &["hostname=\"b\""], r#"{hostname:"b"}"#),
            ("", &["a.b=127.0.0.1:2600", "a.c=[::1]:2600"], r#"{a:{b:"127.0.0.1:2600",c:"[::1]:2600"}}"#),
            ("", &["h=[IPv6:2001:db8::1]"], r#"{h:"[IPv6:2001:db8::1]"}"#),
            ("[a.b]\nc=1", &["a.b.d=true", "a.b.c=2"], "{a:{b:{c:2,d:true}}}"),
            ("", &[r#"d."example.org".users=["alice"]"#], r#"{d:{example.org:{users:["alice"]}}}"#),
            ("", &[r#"d."a=b\"c"='='"#], r#"{d:{a=b"c:"="}}"#),
            ("p=[1,{x=1}]", &["p.0=5", "p.1.x=6", "p.2=7"], "{p:[5,{x:6},7]}"),
            ("t={a=1,b=2}", &["t={c=3}"], "{t:{c:3}}"),
            ("", &["a=10 s", "b=", "c=1_000", "d=-"], r#"{a:"10 s",b:"",c:1000,d:"-"}"#),
            (
                "",
                &["users.\"alice@example.org\"=$argon2id$v=19$m=1"],
                r#"{users:{alice@example.org:"$argon2id$v=19$m=1"}}"#,
            ),
            ("", &["a=[\n1,\n2]"], "{a:[1,2]}"),
        ] {
            assert_eq!(applied(file, arguments).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_can_not_be_set() {
        for (file, argument, expected) in [
            ("", "hostname", "--set hostname: expected KEY=VALUE"),
            ("", "", "--set : expected KEY=VALUE"),
            (
                "",
                "a b=1",
                "--set a b=1: \"a b\" is not a key\n = a key is written as in TOML: plugin.policy.config.domains.\"example.org\".users",
            ),
            (
                "",
                "=1",
                "--set =1: \"\" is not a key\n = a key is written as in TOML: plugin.policy.config.domains.\"example.org\".users",
            ),
            (
                "",
                "x\ny=1",
                "--set x?y=1: \"x\\ny\" is not a key\n = a key is written as in TOML: plugin.policy.config.domains.\"example.org\".users",
            ),
            ("", "a='b' c", "--set a='b' c: the value is not TOML: unexpected content, expected nothing"),
            ("", "a=[1,", "--set a=[1,: the value is not TOML: unclosed array, expected `]`"),
            ("a=1", "a.b=2", "--set a.b=2: `a` is not a table\n = set all of it: a=…"),
            ("a=[1]", "a.2=2", "--set a.2=2: `a` is a list of 1: expected a number from 0 to 1"),
            ("a=[1]", "a.x=2", "--set a.x=2: `a` is a list of 1: expected a number from 0 to 1"),
        ] {
            assert_eq!(applied(file, &[argument]).unwrap_err(), expected);
        }
    }
}
