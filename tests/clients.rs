//! Real clients against the quickstart's gateway; each of them finds its message in the Maildir. A file for each.

mod curl;
mod python;
mod smtp_source;
mod swaks;
