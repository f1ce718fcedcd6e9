//! Uses its store by the standard `wasi:keyvalue`, and knows nothing of `postgate:mail/key-value`.
//!
//! | command | what it does | reply |
//! |---|---|---|
//! | `XOPEN name` | opens a store; `-` is the empty name | `open`, or the error |
//! | `XALL` | every function once, in order | what each has answered |
//! | `XADD` | adds one to `visits` | the sum |

#[allow(unsafe_code, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../host/plugin/wit-deps/keyvalue", world: "imports", generate_all });
}

use bindings::wasi::keyvalue::{atomics, batch, store};
use postgate_sdk::hook::Command;
use postgate_sdk::{Reply, export};

struct WasiKeyValue;

export!(WasiKeyValue: command);

impl Command for WasiKeyValue {
    fn on_command(verb: String, argument: String) -> Option<Reply> {
        let answer = match verb.as_str() {
            "XOPEN" => store::open(argument.trim_start_matches('-')).map(|_| "open".to_owned()),
            "XALL" => all(),
            "XADD" => {
                store::open("").and_then(|bucket| atomics::increment(&bucket, "visits", 1)).map(|n| n.to_string())
            }
            _ => return None,
        };
        let text = answer.unwrap_or_else(|error| format!("{error:?}"));
        Some(Reply::new(250, "2.0.0", &text))
    }
}

fn all() -> Result<String, store::Error> {
    let bucket = store::open("")?;
    let mut answers = Vec::new();
    bucket.set("a", b"one")?;
    answers.push(text(bucket.get("a")?));
    answers.push(bucket.exists("a")?.to_string());
    bucket.delete("a")?;
    answers.push(text(bucket.get("a")?));
    answers.push(bucket.exists("a")?.to_string());
    batch::set_many(&bucket, &[("b".to_owned(), b"2".to_vec()), ("c".to_owned(), b"three".to_vec())])?;
    let many = batch::get_many(&bucket, &["b", "x", "c"].map(str::to_owned))?;
    answers.push(many.into_iter().map(|pair| text(pair.map(|(_, value)| value))).collect::<Vec<_>>().join(","));
    answers.push(atomics::increment(&bucket, "b", 40)?.to_string());
    answers.push(format!("{:?}", atomics::increment(&bucket, "c", 1)));
    let page = bucket.list_keys(None)?;
    answers.push(format!("{} {:?}", page.keys.join(","), page.cursor));
    batch::delete_many(&bucket, &["b", "c", "x"].map(str::to_owned))?;
    answers.push(format!("{:?}", bucket.list_keys(None)?.keys));
    Ok(answers.join("\n"))
}

fn text(value: Option<Vec<u8>>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
}
