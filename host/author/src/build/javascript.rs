//! JavaScript.

use super::{BuildError, Job};

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[];

/// Makes the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    job.tell("JavaScript");
    Err(BuildError::Component("there is no recipe".to_owned()))
}
