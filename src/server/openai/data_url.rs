//! Studies that come in the request itself: `data:` URLs, and no others.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::server::fault::Fault;

/// Base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const WANTED: &str = "a URL of the form data:TYPE;base64,CONTENT";

/// The bytes of a `data:` URL. Nothing is fetched.
///
/// # Errors
/// Status 400 naming `param`; the content is not repeated.
pub(super) fn bytes(url: &str, param: &str) -> Result<Vec<u8>, Fault> {
    let Some(rest) = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &url[5..])
    else {
        let got = match url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, _)) => format!("a {scheme}: URL"),
            None => "a text that is no URL".into(),
        };
        return Err(Fault::field(param, WANTED, got)
            .code("unsupported_url")
            .hint("send the content itself, as base64; this server fetches nothing"));
    };
    let (kind, content) = rest.split_once(',').ok_or_else(|| {
        Fault::field(param, WANTED, "one without a comma").hint("write data:image/png;base64,…")
    })?;
    if !kind.split(';').skip(1).any(|part| part.trim().eq_ignore_ascii_case("base64")) {
        return Err(
            Fault::field(param, WANTED, "one that is not base64").hint("write data:image/png;base64,…")
        );
    }
    let bytes = LENIENT.decode(content.trim_ascii()).map_err(|error| {
        Fault::field(param, "base64", error).hint("use the standard alphabet, without line breaks")
    })?;
    match bytes.is_empty() {
        true => Err(Fault::field(param, "the content of a file", "nothing").hint("send the file's bytes")),
        false => Ok(bytes),
    }
}

fn is_scheme(text: &str) -> bool {
    (1..=20).contains(&text.len())
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_data_url_is_taken() {
        for url in [
            "data:image/png;base64,aGk=",
            "data:;base64,aGk",
            "DATA:a/b;x=y;BASE64,aGk=",
            "data:a/b;base64, aGk=\n",
        ] {
            assert_eq!(bytes(url, "url").unwrap(), b"hi", "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let rows = [
            ("http://169.254.169.254/", "unsupported_url", "a http: URL"),
            ("HTTPS://example.org/a.png", "unsupported_url", "a HTTPS: URL"),
            ("file:///etc/passwd", "unsupported_url", "a file: URL"),
            ("//example.org/a", "unsupported_url", "a text that is no URL"),
            ("http:\\\\example.org", "unsupported_url", "a http: URL"),
            ("iVBORw0KGgo=", "unsupported_url", "a text that is no URL"),
            ("", "unsupported_url", "a text that is no URL"),
            (" data:;base64,aGk", "unsupported_url", "a text that is no URL"),
            ("data:image/png;base64", "", "one without a comma"),
            ("data:image/png,abc", "", "one that is not base64"),
            ("data:;base64,", "", "nothing"),
            ("data:;base64,a*b=", "", "Invalid symbol 42, offset 1."),
        ];
        for (url, code, got) in rows {
            let fault = bytes(url, "url").unwrap_err();
            assert_eq!((fault.code.unwrap_or_default(), fault.facts.got.as_str()), (code, got), "{url}");
        }
    }
}
