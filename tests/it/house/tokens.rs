//! Rust files as tokens, without their unit tests.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A Rust file without the items under `#[cfg(test)]`.
pub struct Source {
    pub tokens: Vec<TokenTree>,
    /// Lines that are not unit tests.
    pub lines: usize,
}

/// A module declaration, `mod name;`.
pub struct Module {
    pub name: String,
    pub in_tests: bool,
}

/// A function with its name, its length in lines and its parameters without the receiver.
pub struct Function {
    pub name: String,
    pub lines: usize,
    pub parameters: usize,
    pub has_boolean: bool,
}

impl Source {
    pub fn read(path: &Path) -> Self {
        Self::parse(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn parse(text: &str) -> Result<Self, proc_macro2::LexError> {
        let mut tests = Vec::new();
        let tokens = without_tests(text.parse()?, &mut tests);
        let cut: usize = tests.iter().map(|lines| lines.end() - lines.start() + 1).sum();
        Ok(Self { tokens, lines: text.lines().count() - cut })
    }
}

/// The tokens without the items under `#[cfg(test)]`, whose lines are collected.
fn without_tests(stream: TokenStream, tests: &mut Vec<RangeInclusive<usize>>) -> Vec<TokenTree> {
    let all: Vec<_> = stream.into_iter().collect();
    let mut kept = Vec::new();
    let mut place = 0;
    while place < all.len() {
        if is_punct(&all[place], '#') && all.get(place + 1).is_some_and(is_cfg_test) {
            let end = place + item_length(&all[place..]);
            let last = &all[end - 1];
            tests.push(all[place].span().start().line..=last.span().end().line);
            place = end;
            continue;
        }
        kept.push(match &all[place] {
            TokenTree::Group(group) => {
                let inner: TokenStream = without_tests(group.stream(), tests).into_iter().collect();
                let mut cut = Group::new(group.delimiter(), inner);
                cut.set_span(group.span());
                cut.into()
            }
            other => other.clone(),
        });
        place += 1;
    }
    kept
}

/// How many tokens an item has with its attributes: it ends with braces or a semicolon.
fn item_length(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| is_punct(token, ';') || braces(token).is_some();
    tokens.iter().position(ends).map_or(tokens.len(), |end| {
        // a `use` has a semicolon after its braces
        end + 1 + usize::from(tokens.get(end + 1).is_some_and(|token| is_punct(token, ';')))
    })
}

/// Whether the brackets of an attribute hold `cfg(test)`, `cfg(all(test, …))` or `cfg(doctest)`.
fn is_cfg_test(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else { return false };
    let text = group.stream().to_string().replace(' ', "");
    group.delimiter() == Delimiter::Bracket
        && ["cfg(test)", "cfg(all(test,", "cfg(doctest)"].iter().any(|head| text.starts_with(head))
}

/// The modules that a file declares, in their order. Those of unit tests are among them.
pub fn modules(path: &Path) -> Vec<Module> {
    let stream: TokenStream = fs::read_to_string(path).unwrap().parse().unwrap();
    let tokens: Vec<_> = stream.into_iter().collect();
    let mut found = Vec::new();
    let mut in_tests = false;
    for (place, token) in tokens.iter().enumerate() {
        in_tests |= is_cfg_test(token);
        if is_word(token, "mod")
            && let Some(name) = tokens.get(place + 1).and_then(word)
            && tokens.get(place + 2).is_some_and(|token| is_punct(token, ';'))
        {
            found.push(Module { name: name.to_string(), in_tests });
        }
        if is_punct(token, ';') || braces(token).is_some() {
            in_tests = false;
        }
    }
    found
}

/// The functions among tokens, those within functions too.
pub fn functions(tokens: &[TokenTree]) -> Vec<Function> {
    let mut found = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            found.extend(functions(&group.stream().into_iter().collect::<Vec<_>>()));
        }
        if is_word(token, "fn")
            && let Some(name) = tokens.get(place + 1).and_then(word)
            && let Some(list) =
                tokens[place..].iter().find_map(|token| group_of(token, Delimiter::Parenthesis))
        {
            let end = tokens[place..].iter().find(|token| is_punct(token, ';') || braces(token).is_some());
            let last = end.map_or(token.span().end().line, |end| end.span().end().line);
            let parameters = parameters(list);
            found.push(Function {
                name: name.to_string(),
                lines: last - token.span().start().line + 1,
                has_boolean: parameters.iter().any(|parameter| parameter.ends_with(":bool")),
                parameters: parameters.len(),
            });
        }
    }
    found
}

/// The parameters of a list, without spaces and without the receiver.
fn parameters(list: &Group) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0;
    let mut before = ' ';
    for token in list.stream() {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' && before != '-' => depth -= 1,
            TokenTree::Punct(punct) if punct.as_char() == ',' && depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        before = if let TokenTree::Punct(punct) = &token { punct.as_char() } else { ' ' };
        if let Some(last) = found.last_mut() {
            last.push_str(&token.to_string().replace(' ', ""));
        }
    }
    found.retain(|parameter| {
        !parameter.is_empty() && !["self", "&self", "mutself", "&mutself"].contains(&&**parameter)
    });
    found
}

/// Whether a word is among tokens.
pub fn has_word(tokens: &[TokenTree], wanted: &str) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Group(group) => has_word(&group.stream().into_iter().collect::<Vec<_>>(), wanted),
        other => is_word(other, wanted),
    })
}

/// Whether a macro of that name is called among tokens.
pub fn has_macro(tokens: &[TokenTree], name: &str) -> bool {
    let here = tokens.windows(2).any(|pair| is_word(&pair[0], name) && is_punct(&pair[1], '!'));
    here || tokens.iter().any(|token| match token {
        TokenTree::Group(group) => has_macro(&group.stream().into_iter().collect::<Vec<_>>(), name),
        _ => false,
    })
}

pub fn word(token: &TokenTree) -> Option<&Ident> {
    if let TokenTree::Ident(word) = token { Some(word) } else { None }
}

pub fn is_word(token: &TokenTree, wanted: &str) -> bool {
    word(token).is_some_and(|word| word == wanted)
}

pub fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

pub fn group_of(token: &TokenTree, delimiter: Delimiter) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

pub fn braces(token: &TokenTree) -> Option<&Group> {
    group_of(token, Delimiter::Brace)
}
