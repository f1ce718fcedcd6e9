//! TypeScript declarations of WIT interfaces as QuickJS components see them, with the comments of the contract: what an editor
//! completes and checks in a plugin in JavaScript.

use std::fmt::Write;

use wit_parser::{Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner};

/// A module for each interface, under the name that it is imported by.
pub(crate) fn declarations(resolve: &Resolve) -> String {
    let mut interfaces: Vec<(String, &Interface)> =
        resolve.interfaces.iter().filter_map(|(id, interface)| Some((resolve.id_of(id)?, interface))).collect();
    interfaces.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut text = String::from(HEAD);
    for (name, interface) in interfaces {
        let mut writer = Writer { resolve, interface, text: &mut text };
        writer.module(&name);
    }
    text
}

struct Writer<'a> {
    resolve: &'a Resolve,
    interface: &'a Interface,
    text: &'a mut String,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn module(&mut self, name: &str) {
        let interface = self.interface;
        self.line("");
        self.docs(&interface.docs, "");
        self.line(&format!("declare module {name:?} {{"));
        for (name, id) in &interface.types {
            self.type_definition(name, *id);
        }
        for function in interface.functions.values() {
            self.function(function);
        }
        self.line("}");
    }

    fn docs(&mut self, docs: &Docs, indent: &str) {
        let Some(contents) = &docs.contents else { return };
        let lines: Vec<String> = contents.trim().lines().map(|line| line.replace("*/", "* /")).collect();
        match lines.as_slice() {
            [one] => self.line(&format!("{indent}/** {} */", one.trim())),
            several => {
                self.line(&format!("{indent}/**"));
                for line in several {
                    self.line(format!("{indent} * {line}").trim_end());
                }
                self.line(&format!("{indent} */"));
            }
        }
    }

    fn type_definition(&mut self, name: &str, id: TypeId) {
        let Some(definition) = self.resolve.types.get(id) else { return };
        let name = pascal(name);
        if let TypeDefKind::Type(Type::Id(original)) = definition.kind
            && let Some((module, its_name)) = self.home(original)
        {
            self.line(&format!("  export type {name} = import({module:?}).{its_name};"));
            return;
        }
        self.docs(&definition.docs, "  ");
        match &definition.kind {
            TypeDefKind::Record(record) => {
                self.line(&format!("  export interface {name} {{"));
                for field in &record.fields {
                    self.docs(&field.docs, "    ");
                    let optional = if self.is_option(&field.ty) { "?" } else { "" };
                    self.line(&format!("    {}{optional}: {};", camel(&field.name), self.type_name(&field.ty)));
                }
                self.line("  }");
            }
            TypeDefKind::Variant(variant) => {
                self.line(&format!("  export type {name} ="));
                let last = variant.cases.len().saturating_sub(1);
                for (n, case) in variant.cases.iter().enumerate() {
                    self.docs(&case.docs, "    ");
                    let value = case.ty.map_or(String::new(), |ty| format!("; val: {}", self.type_name(&ty)));
                    let end = if n == last { ";" } else { "" };
                    self.line(&format!("    | {{ tag: {:?}{value} }}{end}", case.name));
                }
            }
            TypeDefKind::Enum(cases) => {
                self.line(&format!("  export type {name} ="));
                let last = cases.cases.len().saturating_sub(1);
                for (n, case) in cases.cases.iter().enumerate() {
                    self.docs(&case.docs, "    ");
                    let end = if n == last { ";" } else { "" };
                    self.line(&format!("    | {:?}{end}", case.name));
                }
            }
            TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Flags(_)
            | TypeDefKind::Tuple(_)
            | TypeDefKind::Option(_)
            | TypeDefKind::Result(_)
            | TypeDefKind::List(_)
            | TypeDefKind::Map(..)
            | TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Type(_)
            | TypeDefKind::Unknown => {
                let written = self.kind(definition);
                self.line(&format!("  export type {name} = {written};"));
            }
        }
    }

    fn function(&mut self, function: &Function) {
        let mut docs = function.docs.contents.clone().unwrap_or_default();
        let result = match self.result(function.result) {
            (answer, None) => answer,
            (answer, Some(error)) => {
                let _ = write!(docs, "\n\nThrows an error with `payload`: {error}.");
                answer
            }
        };
        let docs = if docs.is_empty() { Docs::default() } else { Docs { contents: Some(docs) } };
        self.docs(&docs, "  ");
        let parameters: Vec<String> = function
            .params
            .iter()
            .map(|parameter| {
                let ty = self.type_name(&parameter.ty);
                format!("{}: {ty}", camel(&parameter.name))
            })
            .collect();
        let (name, parameters) = (camel(&function.name), parameters.join(", "));
        if RESERVED.contains(&name.as_str()) {
            self.line(&format!("  function {name}_({parameters}): {result};"));
            self.line(&format!("  export {{ {name}_ as {name} }};"));
        } else {
            self.line(&format!("  export function {name}({parameters}): {result};"));
        }
    }

    /// What a function returns, and what it throws.
    fn result(&self, ty: Option<Type>) -> (String, Option<String>) {
        let Some(ty) = ty else { return ("void".to_owned(), None) };
        if let Type::Id(id) = ty
            && let Some(TypeDefKind::Result(result)) = self.resolve.types.get(id).map(|definition| &definition.kind)
        {
            let answer = result.ok.map_or_else(|| "void".to_owned(), |ok| self.type_name(&ok));
            let error = result.err.map_or_else(|| "nothing".to_owned(), |error| self.type_name(&error));
            return (answer, Some(format!("`{error}`")));
        }
        (self.type_name(&ty), None)
    }

    fn is_option(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else { return false };
        matches!(self.resolve.types.get(*id), Some(TypeDef { kind: TypeDefKind::Option(_), .. }))
    }

    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "boolean".to_owned(),
            // QuickJS has numbers of 64 bits as such, too, exact up to 2^53.
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => "number".to_owned(),
            Type::S8 | Type::S16 | Type::S32 | Type::S64 | Type::F32 | Type::F64 => "number".to_owned(),
            Type::Char | Type::String => "string".to_owned(),
            Type::ErrorContext => "never".to_owned(),
            Type::Id(id) => match self.resolve.types.get(*id) {
                Some(TypeDef { name: Some(name), .. }) => match self.home(*id) {
                    Some((module, its_name)) => format!("import({module:?}).{its_name}"),
                    None => pascal(name),
                },
                Some(definition) => self.kind(definition),
                None => "never".to_owned(),
            },
        }
    }

    /// A type without a name of its own.
    fn kind(&self, definition: &TypeDef) -> String {
        match &definition.kind {
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(item) | TypeDefKind::FixedLengthList(item, _) => {
                let item = self.type_name(item);
                if item.contains('|') { format!("({item})[]") } else { format!("{item}[]") }
            }
            TypeDefKind::Option(some) => format!("{} | undefined", self.type_name(some)),
            TypeDefKind::Tuple(tuple) => {
                let items: Vec<_> = tuple.types.iter().map(|item| self.type_name(item)).collect();
                format!("[{}]", items.join(", "))
            }
            TypeDefKind::Type(same) => self.type_name(same),
            TypeDefKind::Record(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_)
            | TypeDefKind::Result(_)
            | TypeDefKind::Resource
            | TypeDefKind::Handle(_)
            | TypeDefKind::Map(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown => "unknown".to_owned(),
        }
    }

    /// Where a type is from, if it is not from the interface that is being written.
    fn home(&self, id: TypeId) -> Option<(String, String)> {
        let definition = self.resolve.types.get(id)?;
        let TypeOwner::Interface(owner) = definition.owner else { return None };
        let is_own =
            self.resolve.interfaces.get(owner).is_some_and(|interface| std::ptr::eq(interface, self.interface));
        if is_own {
            return None;
        }
        Some((self.resolve.id_of(owner)?, pascal(definition.name.as_deref()?)))
    }
}

/// `on-recipient` is `onRecipient`.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capitalised(word))
}

/// `message-verdict` is `MessageVerdict`.
fn pascal(name: &str) -> String {
    name.split('-').map(capitalised).collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Words that can be exported, and can't be declared; those that a function may be called.
const RESERVED: &[&str] = &[
    "break", "case", "catch", "class", "const", "continue", "default", "delete", "do", "else", "enum", "export",
    "extends", "false", "finally", "for", "function", "if", "import", "in", "new", "null", "return", "super", "switch",
    "this", "throw", "true", "try", "typeof", "var", "void", "while", "with",
];
const HEAD: &str = "\
// The contract between Postgate and its plugins, for editors: made of wit/ by `postgate build`, and not needed to build.
// An optional value that is not there is undefined; where undefined is given, null may be too.
";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What `new` writes is what `build` makes of the same contract.
    #[test]
    fn the_template_is_made_of_the_contract() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut resolve = Resolve::default();
        resolve.push_dir(root.join("../../wit")).unwrap();
        let made = declarations(&resolve);
        let file = root.join("templates/javascript/contract.d.ts");
        if std::env::var_os("POSTGATE_WRITE_TEMPLATES").is_some() {
            fs::write(&file, &made).unwrap();
        }
        assert!(
            fs::read_to_string(&file).unwrap() == made,
            "{} is not what wit/ says: run this test with POSTGATE_WRITE_TEMPLATES=1",
            file.display()
        );
    }

    #[test]
    fn types_as_quickjs_has_them() {
        let mut resolve = Resolve::default();
        let wit = "package a:b@1.0.0;
            interface one { record r { some-text: option<string>, octets: list<u8> } enum e { not-now, other } }
            /// Two.
            interface two {
                use one.{r, e};
                variant v { none, all(list<tuple<string, u64>>) }
                delete: func() -> bool;
                /// Does it.
                do-it: func(it: r, v: option<v>) -> result<list<e>, e>;
            }";
        resolve.push_source("x.wit", wit).unwrap();
        let expected = r#"
declare module "a:b/one@1.0.0" {
  export interface R {
    someText?: string | undefined;
    octets: Uint8Array;
  }
  export type E =
    | "not-now"
    | "other";
}

/** Two. */
declare module "a:b/two@1.0.0" {
  export type R = import("a:b/one@1.0.0").R;
  export type E = import("a:b/one@1.0.0").E;
  export type V =
    | { tag: "none" }
    | { tag: "all"; val: [string, number][] };
  function delete_(): boolean;
  export { delete_ as delete };
  /**
   * Does it.
   *
   * Throws an error with `payload`: `E`.
   */
  export function doIt(it: R, v: V | undefined): E[];
}
"#;
        assert_eq!(declarations(&resolve), format!("{HEAD}{expected}"));
    }
}
