//! The self-test of a package as JSON.

use serde_json::{Value, json};

use crate::self_test::{Bound, CaseReport, Nearness, RunReport, SelfTestReport};

/// How near the answers of a package's self-test are to those on record.
pub(super) fn to_json(report: &SelfTestReport) -> Value {
    json!({
        "within": report.agrees(),
        "cases": report.cases.iter().map(case).collect::<Vec<_>>(),
    })
}

fn case(case: &CaseReport) -> Value {
    json!({
        "name": case.name,
        "pixels_equal": case.pixels_equal,
        "ids_equal": case.ids_equal,
        "runs": case.runs.iter().map(run).collect::<Vec<_>>(),
    })
}

fn run(run: &RunReport) -> Value {
    json!({
        "by": run.by,
        "precision": run.precision,
        "embeddings": run.embeddings.as_ref().map(nearness),
        "logits": nearness(&run.logits),
        "top_token_equal": run.equal_tokens > 0,
        "tokens": run.tokens,
        "equal_tokens": run.equal_tokens,
        "margin": run.margin,
        "tie": run.tie,
        "within": run.agrees(),
    })
}

fn nearness(near: &Nearness) -> Value {
    let (bounded, bound) = match near.bound {
        Bound::MaxError(most) => ("max_error", most),
        Bound::RelativeError(most) => ("relative_error", most),
    };
    json!({
        "max_error": near.max_error,
        "relative_error": near.relative_error,
        "bounded": bounded,
        "bound": bound,
        "within": near.is_within(),
    })
}
