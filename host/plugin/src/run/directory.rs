//! VRFY, EXPN, and verbs that the host does not know: hooks that answer with a reply of their own.

use postgate_smtp::Reply;

use super::{Decision, Run, call};
use crate::bindings::exports::postgate::mail::{expand as expand_wit, verify as verify_wit};
use crate::bindings::postgate::mail::types::{self, DirectoryEntry};
use crate::failure::{Consequence, Failure};
use crate::hook::Hook;
use crate::reply::{Class, checked};

impl Run {
    /// VRFY. `Refuse` carries any reply, also a positive one; `Pass` is nobody's opinion.
    pub async fn verify(&mut self, argument: &str) -> Decision {
        for turn in 0..self.turns(Hook::Verify) {
            let position = self.position(Hook::Verify, turn);
            let answer = call!(self, position, Hook::Verify, verify.call_on_verify(argument));
            let answer = answer.and_then(|answer| match answer {
                verify_wit::Verification::Next => Ok(None),
                verify_wit::Verification::Found(entry) => self.entries(&[entry]).map(Some),
                verify_wit::Verification::Reply(reply) => self.any_reply(&reply).map(Some),
            });
            if let Some(decision) = self.replied(position, Hook::Verify, answer) {
                return decision;
            }
        }
        Decision::Pass
    }

    /// EXPN, as [`Self::verify`].
    pub async fn expand(&mut self, argument: &str) -> Decision {
        for turn in 0..self.turns(Hook::Expand) {
            let position = self.position(Hook::Expand, turn);
            let answer = call!(self, position, Hook::Expand, expand.call_on_expand(argument));
            let answer = answer.and_then(|answer| match answer {
                expand_wit::Expansion::Next => Ok(None),
                expand_wit::Expansion::Members(entries) => self.entries(&entries).map(Some),
                expand_wit::Expansion::Reply(reply) => self.any_reply(&reply).map(Some),
            });
            if let Some(decision) = self.replied(position, Hook::Expand, answer) {
                return decision;
            }
        }
        Decision::Pass
    }

    /// A verb that the host does not know, as [`Self::verify`].
    pub async fn command(&mut self, verb: &str, argument: &str) -> Decision {
        for turn in 0..self.turns(Hook::Command) {
            let position = self.position(Hook::Command, turn);
            let answer = call!(self, position, Hook::Command, command.call_on_command(verb, argument));
            let answer = answer.and_then(|answer| answer.map(|reply| self.any_reply(&reply)).transpose());
            if let Some(decision) = self.replied(position, Hook::Command, answer) {
                return decision;
            }
        }
        Decision::Pass
    }

    fn any_reply(&self, reply: &types::Reply) -> Result<Reply, Failure> {
        checked(reply, Class::Any).map_err(|detail| self.bad_answer(detail))
    }

    /// 250 with a line for each entry (RFC 5321 section 3.5.1), perhaps beyond ASCII.
    fn entries(&self, entries: &[DirectoryEntry]) -> Result<Reply, Failure> {
        if entries.is_empty() {
            return Err(self.bad_answer("a list without members".to_owned()));
        }
        let lines: Result<Vec<_>, _> = entries.iter().map(line).collect();
        let reply = lines.and_then(|lines| Reply::beyond_ascii(250, None, &lines).map_err(|error| error.to_string()));
        reply.map_err(|detail| self.bad_answer(detail))
    }

    fn replied(&mut self, position: usize, hook: Hook, answer: Result<Option<Reply>, Failure>) -> Option<Decision> {
        match answer {
            Ok(reply) => reply.map(Decision::Refuse),
            Err(failure) => match self.consequence(position, hook, &failure, None) {
                Consequence::Next | Consequence::Quarantine => None,
                Consequence::Refuse(reply) => Some(Decision::Refuse(reply)),
                Consequence::Disconnect(reply) => Some(Decision::Disconnect(reply)),
            },
        }
    }
}

fn line(entry: &DirectoryEntry) -> Result<String, String> {
    let mailbox = postgate_smtp::Mailbox::try_from(&entry.mailbox).map_err(|error| error.to_string())?;
    match entry.full_name.as_deref() {
        Some(name) if !name.contains(|character: char| character.is_control() || matches!(character, '<' | '>')) => {
            Ok(format!("{name} <{mailbox}>"))
        }
        Some(_) => Err("a full name has a control character or an angle bracket".to_owned()),
        None => Ok(format!("<{mailbox}>")),
    }
}
