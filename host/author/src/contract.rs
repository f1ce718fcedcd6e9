//! The WIT package of the contract, inside the binary. A test holds the list against the folder.

/// The files of `wit/`, by name.
pub(crate) const CONTRACT: &[(&str, &str)] = &[
    ("authentication.wit", include_str!("../../../wit/authentication.wit")),
    ("context.wit", include_str!("../../../wit/context.wit")),
    ("hooks.wit", include_str!("../../../wit/hooks.wit")),
    ("network.wit", include_str!("../../../wit/network.wit")),
    ("services.wit", include_str!("../../../wit/services.wit")),
    ("storage.wit", include_str!("../../../wit/storage.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("worlds.wit", include_str!("../../../wit/worlds.wit")),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn it_is_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        // The page beside them is about versions, and for who changes them.
        names.retain(|name| name.ends_with(".wit"));
        names.sort();
        assert_eq!(CONTRACT.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }
}
