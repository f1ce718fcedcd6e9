//! C++, by zig's clang.

use super::bindings::{Bindings, component, interfaces, kept};
use super::clang::{self, Zig};
use super::{BuildError, Job};

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("plugin.cpp", include_str!("../../templates/cpp/plugin.cpp")),
    ("compile_flags.txt", include_str!("../../templates/cpp/compile_flags.txt")),
];

/// Makes the bindings with `postgate.hpp`, and the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    let zig = Zig::find(&job.project.folder, "C++")?;
    let mut bindings = Bindings::generate(job.world(), wit_bindgen_cpp::Opts::default().build(None))?;
    bindings.amend(|path| path == "plugin.cpp", lowered_apart)?;
    let interfaces = interfaces(job.world());
    let parts = PARTS.iter().filter(|(interface, _)| interfaces.contains_key(*interface));
    let header: String = parts.map(|(_, part)| *part).chain(["\n} // namespace pg\n"]).collect();
    bindings.render("postgate.hpp", &header, &[]);
    bindings.write(&job.project.folder)?;
    let module = clang::compile(job, &zig, "c++", ARGUMENTS)?;
    component(kept(module, job.information)?, None)
}

/// Mends what wit-bindgen-cpp 0.61 makes of lists: it writes the form that the host reads over the elements themselves while it still reads
/// them, which garbles those whose form is another, and lists that belong to the caller. What a hook answers is taken out of its place
/// before that is written; what is given to a call is written elsewhere, and kept until the next hook. And what an option that is given to a
/// call holds stays there, because the generated code frees it before the call, or takes it for another type.
fn lowered_apart(code: &str) -> Result<String, BuildError> {
    let mut mended = String::with_capacity(code.len() + code.len() / 8);
    // Calls come first, and then hooks.
    let mut is_export = false;
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("extern \"C\" __attribute__((__export_name__(") {
            is_export = true;
        }
        let words = line.trim();
        if let Some(vector) = words.strip_prefix("auto&& _iter_elem = ").filter(|_| is_export) {
            mended.push_str(&format!("auto _iter_elem = std::move({});\n", vector.trim_end_matches(';')));
            continue;
        }
        if let Some((name, option)) = moved_out(words).filter(|_| !is_export) {
            mended.push_str(&format!("auto&& {name} = ({option}).value();\n"));
            continue;
        }
        mended.push_str(line);
        mended.push('\n');
        if is_export && line == "{" {
            mended.push_str("  lowered.clear();\n");
        }
        // `auto _len1 = (size_t)(_vec1.size());`, of a list whose elements follow.
        let Some(number) =
            words.strip_prefix("auto _len").and_then(|rest| rest.split_once(" = (size_t)(_vec")).map(|(n, _)| n)
        else {
            continue;
        };
        if lines.peek().is_none_or(|next| !next.trim_start().starts_with("for (size_t i = 0; ")) {
            continue;
        }
        let head = lines.next().unwrap_or_default();
        let base = lines.next().unwrap_or_default();
        let size = base
            .trim()
            .strip_prefix(&format!("auto _base = _ptr{number} + i * "))
            .and_then(|size| size.strip_suffix(';'));
        let size = size.ok_or_else(|| BuildError::Bindings(format!("an unknown form of a list: {base}")))?;
        if is_export {
            mended.push_str(&format!("static_assert(sizeof(_vec{number}[0]) >= {size});\n"));
        } else {
            mended
                .push_str(&format!("_ptr{number} = lowered.emplace_back(new uint8_t[_len{number} * {size}]).get();\n"));
        }
        mended.push_str(&format!("{head}\n{base}\n"));
    }
    let at = mended.rfind("#include").and_then(|at| mended.get(at..)?.find('\n').map(|end| at + end + 1));
    let at = at.ok_or_else(|| BuildError::Bindings("plugin.cpp includes nothing".to_owned()))?;
    mended.insert_str(at, LOWERED);
    Ok(mended)
}

/// `T payload2 = (std::move(option)).value();`: the name, and the option.
fn moved_out(line: &str) -> Option<(&str, &str)> {
    let (declaration, option) = line.split_once(" = (std::move(")?;
    let (_, name) = declaration.rsplit_once(' ')?;
    Some((name, option.strip_suffix(")).value();")?))
}

/// What is given to calls, in the form that the host reads.
const LOWERED: &str = "#include <memory>\n#include <vector>\nstatic std::vector<std::unique_ptr<uint8_t[]>> lowered;\n";

/// The parts of `postgate.hpp`, each with the interface of the contract that it needs.
const PARTS: &[(&str, &str)] = &[
    ("types", include_str!("../../templates/cpp/postgate.hpp")),
    ("log", include_str!("../../templates/cpp/log.hpp")),
    ("config", include_str!("../../templates/cpp/config.hpp")),
];

const ARGUMENTS: &[&str] = &[
    "-std=c++23",
    "-fno-exceptions",
    "-fno-rtti",
    // The bindings look at one place of memory as two things.
    "-fno-strict-aliasing",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Ibindings",
    "plugin.cpp",
    "bindings/plugin.cpp",
    "bindings/plugin_component_type.o",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::write;
    use crate::contract::CONTRACT;
    use crate::world;

    /// Of everything that the contract has: no list is written over, and nothing leaves its option before a call.
    #[test]
    fn the_whole_contract_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in CONTRACT {
            write(&folder.path().join("deps/postgate-mail").join(name), text.as_bytes()).unwrap();
        }
        let text = "package author:plugin;\nworld plugin { include postgate:mail/everything@0.1.0; }\n";
        write(&folder.path().join("world.wit"), text.as_bytes()).unwrap();
        let world = world::read(folder.path()).unwrap();
        let mut bindings = Bindings::generate(&world, wit_bindgen_cpp::Opts::default().build(None)).unwrap();
        let check = |code: &str| {
            let mended = lowered_apart(code)?;
            let (calls, hooks) =
                mended.split_once("extern \"C\" __attribute__((__export_name__(\"postgate:mail/").unwrap();
            assert!(!calls.contains(" = (std::move(") && !hooks.contains("auto&& _iter_elem"));
            let lists = |code: &str| code.matches("auto _base = _ptr").count();
            assert!(lists(calls) > 5 && lists(calls) == calls.matches("lowered.emplace_back(").count());
            assert!(lists(hooks) > 5 && lists(hooks) == hooks.matches("static_assert(sizeof(_vec").count());
            Ok(mended)
        };
        bindings.amend(|path| path == "plugin.cpp", check).unwrap();
    }

    #[test]
    fn lists_are_lowered_apart() {
        let list = |name: &str| {
            format!(
                "auto&& _vec1 = {name};\nauto _ptr1 = (uint8_t*)(_vec1.data());\nauto _len1 = (size_t)(_vec1.size());\n\
                 for (size_t i = 0; i < _len1; ++i) {{\nauto _base = _ptr1 + i * (3*sizeof(void*));\nauto&& _iter_elem = _vec1[i];\n}}\n"
            )
        };
        let call = format!("void a::Call()\n{{\n{}}}\n", list("given"));
        let export = "extern \"C\" __attribute__((__export_name__(\"a\")))\nvoid a()\n{\n";
        let mended =
            lowered_apart(&format!("#include \"plugin_cpp.h\"\n{call}{export}{}}}\n", list("result"))).unwrap();
        let (before, after) = mended.split_once("extern \"C\"").unwrap();
        assert!(
            before.contains("_ptr1 = lowered.emplace_back(new uint8_t[_len1 * (3*sizeof(void*))]).get();\nfor "),
            "{before}"
        );
        assert!(before.contains("auto&& _iter_elem = _vec1[i];"), "{before}");
        assert!(after.contains("{\n  lowered.clear();\n"), "{after}");
        assert!(after.contains("static_assert(sizeof(_vec1[0]) >= (3*sizeof(void*)));\nfor "), "{after}");
        assert!(after.contains("auto _iter_elem = std::move(_vec1[i]);"), "{after}");
    }

    #[test]
    fn options_stay_where_they_are() {
        let line = "    types::Mailbox payload2 = (std::move((request).sender)).value();\n";
        let mended = lowered_apart(&format!("#include <x>\nvoid a::Call()\n{{\n{line}}}\n")).unwrap();
        assert!(mended.ends_with("{\nauto&& payload2 = ((request).sender).value();\n}\n"), "{mended}");
    }

    #[test]
    fn strings_and_octets_stay_as_they_are() {
        let code = "#include \"plugin_cpp.h\"\nauto _len1 = (size_t)(_vec1.size());\n_vec1.leak();\n";
        let mended = lowered_apart(code).unwrap();
        assert_eq!(mended.replace(LOWERED, ""), code);
        let unknown = "#include <x>\nauto _len1 = (size_t)(_vec1.size());\nfor (size_t i = 0; i < _len1; ++i) {\nauto base = 1;\n";
        assert!(lowered_apart(unknown).is_err());
    }
}
