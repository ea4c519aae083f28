//! Replies that were cut off against the wish of whoever asked.

use fleming::wire::counted;
use fleming::{AskOptions, Finish, Reply, ReplyPart, StopRule};

/// A sentence about a reply that was cut off; none of one that was to be as long as it is.
pub(super) fn remark(reply: &Reply, options: &AskOptions) -> Option<String> {
    let cut = match (reply.finish, reply.truncated) {
        (Finish::TimedOut, _) => "the time for the reply was up".to_owned(),
        // The reply says itself that it ended in the thought.
        (Finish::Length, Some(ReplyPart::Answer)) if options.stop == StopRule::EndOfTurn => format!(
            "the answer was cut off after {}: raise --max-new-tokens, or --context",
            counted(reply.usage.completion_tokens, "token")
        ),
        _ if lacks_form(reply, options) => "the answer was cut off".to_owned(),
        _ => return None,
    };
    let form = if lacks_form(reply, options) { "; it may not have the form that was asked for" } else { "" };
    Some(format!("{cut}{form}"))
}

/// Whether a reply that had a form to keep to was cut off before its end.
pub(super) fn lacks_form(reply: &Reply, options: &AskOptions) -> bool {
    fleming::wire::form(reply, options).is_some_and(|form| form == fleming::wire::FORM_CUT_OFF)
}
