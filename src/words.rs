//! Numbers in messages.

/// So many things, by the word for one of them: `1 frame`, `0 frames`, `2 frames`.
pub fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "slice")), ["0 slices", "1 slice", "2 slices"]);
    }
}
