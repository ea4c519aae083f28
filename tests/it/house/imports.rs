//! Which file of `src` imports which, through all re-exports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenTree};

use super::tokens::{self, Source, braces, group_of, is_punct, is_word, word};

/// The files of the library and of the program, with what they import.
pub struct House {
    pub files: Vec<File>,
    by_module: BTreeMap<Vec<String>, usize>,
}

/// A file and its place in the tree of modules.
pub struct File {
    /// Its path below `src`.
    pub path: String,
    /// `lib` or `main`, and the modules down to this one.
    pub module: Vec<String>,
    pub source: Source,
    /// The modules that it declares, in their order.
    pub children: Vec<String>,
    /// What `use` brings in, by the name it has here; globs have the name `*`.
    uses: Vec<(String, Vec<String>)>,
    /// Every path in the file, those of `use` too.
    paths: Vec<Vec<String>>,
    /// The names that it defines.
    defined: BTreeSet<String>,
    /// Whether it holds nothing but declarations and re-exports.
    pub is_map: bool,
}

impl File {
    /// Whether the file holds a word, a macro's `name!`, or a path that begins like `head::` or `head::name`.
    pub fn names(&self, wanted: &str) -> bool {
        let wanted = wanted.trim_end_matches("::");
        match wanted.split_once("::") {
            Some((head, name)) => self.paths.iter().any(|path| path.starts_with(&[head.into(), name.into()])),
            None if wanted.ends_with('!') => {
                tokens::has_macro(&self.source.tokens, wanted.trim_end_matches('!'))
            }
            None => {
                self.paths.iter().any(|path| path[0] == wanted)
                    || tokens::has_word(&self.source.tokens, wanted)
            }
        }
    }
}

/// An import of one file by another, as places in [`House::files`].
pub type Import = (usize, usize);

impl House {
    /// Reads the tree of modules below the roots in `src`.
    pub fn read(src: &Path) -> Self {
        let mut files = Vec::new();
        for root in ["lib", "main"] {
            let path = src.join(root).with_extension("rs");
            if path.exists() {
                descend(src, &path, vec![root.to_owned()], &mut files);
            }
        }
        let by_module = files.iter().enumerate().map(|(place, file)| (file.module.clone(), place)).collect();
        Self { files, by_module }
    }

    /// All imports between files, each once. Maps import nothing: who imports through them imports what they re-export.
    pub fn imports(&self) -> BTreeSet<Import> {
        let mut found = BTreeSet::new();
        for (place, file) in self.files.iter().enumerate().filter(|(_, file)| !file.is_map) {
            let targets = file.paths.iter().filter_map(|path| self.resolve(place, path, 0));
            found.extend(targets.filter(|target| *target != place).map(|target| (place, target)));
        }
        found
    }

    /// The file that a path in the file `from` ends in.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let file = &self.files[from];
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => vec![file.module[0].clone()],
            "self" => file.module.clone(),
            "super" => parent(&file.module)?,
            name if file.children.iter().any(|child| child == name) => {
                rest = path;
                file.module.clone()
            }
            name if depth < 8 => {
                let (_, used) = file.uses.iter().find(|(alias, _)| alias == name)?;
                // a module brought in by `use` goes on from there
                let full: Vec<_> = used.iter().chain(rest).cloned().collect();
                return (used.first() != Some(first)).then(|| self.resolve(from, &full, depth + 1)).flatten();
            }
            _ => return None,
        };
        while let Some(("super", further)) =
            rest.split_first().map(|(name, further)| (name.as_str(), further))
        {
            module = parent(&module)?;
            rest = further;
        }
        while let Some((name, further)) = rest.split_first() {
            let below = module.iter().chain([name]).cloned().collect::<Vec<_>>();
            if !self.by_module.contains_key(&below) {
                break;
            }
            (module, rest) = (below, further);
        }
        let here = *self.by_module.get(&module)?;
        match rest.first() {
            Some(name) => Some(self.look_up(here, name, depth).unwrap_or(here)),
            None => Some(here),
        }
        .filter(|target| !self.files[*target].is_map)
    }

    /// The file that a name in the file `here` comes from.
    fn look_up(&self, here: usize, name: &str, depth: usize) -> Option<usize> {
        let file = &self.files[here];
        if file.defined.contains(name) || depth >= 8 {
            return Some(here);
        }
        let named = file.uses.iter().find(|(alias, _)| alias == name);
        if let Some((_, path)) = named {
            return self.resolve(here, path, depth + 1);
        }
        let globs = file.uses.iter().filter(|(alias, _)| alias == "*");
        globs.filter_map(|(_, path)| self.resolve_glob(here, path, name, depth)).next()
    }

    fn resolve_glob(&self, here: usize, path: &[String], name: &str, depth: usize) -> Option<usize> {
        let full: Vec<_> = path.iter().cloned().chain([name.to_owned()]).collect();
        let target = self.resolve(here, &full, depth + 1)?;
        self.files[target].defined.contains(name).then_some(target)
    }

    /// Why an import breaks the order, if it does.
    pub fn breach(&self, (from, to): Import) -> Option<String> {
        let (one, other) = (&self.files[from], &self.files[to]);
        let shared = one.module.iter().zip(&other.module).take_while(|(one, other)| one == other).count();
        let what = format!("src/{} imports src/{}", one.path, other.path);
        match (one.module.get(shared), other.module.get(shared)) {
            (Some(_), None) => Some(format!("{what}, the head of its folder, which is no map")),
            (Some(one), Some(other)) => {
                let head = &self.files[self.by_module[&self.files[from].module[..shared]]];
                let place = |name: &String| head.children.iter().position(|child| child == name);
                let upward = place(other) > place(one);
                upward.then(|| format!("{what}, but src/{} declares {other} below {one}", head.path))
            }
            _ => None,
        }
    }

    /// Groups of files that import one another, each sorted.
    pub fn circles(&self) -> Vec<Vec<usize>> {
        let imports = self.imports();
        let reach = |start: usize| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(file) = open.pop() {
                let next = imports.range((file, 0)..(file + 1, 0)).map(|(_, to)| *to);
                open.extend(next.filter(|to| seen.insert(*to)));
            }
            seen
        };
        let reached: Vec<_> = (0..self.files.len()).map(reach).collect();
        let circle = |file: usize| -> Vec<usize> {
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect()
        };
        let all: BTreeSet<_> = (0..self.files.len()).map(circle).filter(|circle| circle.len() > 1).collect();
        all.into_iter().collect()
    }
}

fn parent(module: &[String]) -> Option<Vec<String>> {
    (module.len() > 1).then(|| module[..module.len() - 1].to_vec())
}

fn descend(src: &Path, path: &Path, module: Vec<String>, files: &mut Vec<File>) {
    let declared: Vec<_> = tokens::modules(path).into_iter().filter(|module| !module.in_tests).collect();
    let children: Vec<String> = declared.into_iter().map(|module| module.name).collect();
    let source = Source::read(path);
    let mut found = Found::default();
    found.read(&source.tokens, &[]);
    let name = path.strip_prefix(src).unwrap().to_str().unwrap().replace('\\', "/");
    files.push(File {
        path: name,
        module: module.clone(),
        is_map: is_map(&source.tokens),
        defined: definitions(&source.tokens),
        source,
        children: children.clone(),
        uses: found.uses,
        paths: found.paths,
    });
    let is_head = ["lib.rs", "main.rs", "mod.rs"].iter().any(|head| path.ends_with(head));
    let folder = if is_head { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    for child in children {
        let below = module.iter().cloned().chain([child.clone()]).collect();
        descend(src, &file_of(&folder, &child), below, files);
    }
}

fn file_of(folder: &Path, module: &str) -> PathBuf {
    let alone = folder.join(module).with_extension("rs");
    if alone.exists() { alone } else { folder.join(module).join("mod.rs") }
}

/// Whether tokens are nothing but attributes, module declarations and `use`.
fn is_map(tokens: &[TokenTree]) -> bool {
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        let length = match first {
            _ if is_punct(first, '#') => {
                let inner = usize::from(rest.get(1).is_some_and(|token| is_punct(token, '!')));
                2 + inner
            }
            _ if is_word(first, "pub") => {
                1 + usize::from(
                    rest.get(1).is_some_and(|token| group_of(token, Delimiter::Parenthesis).is_some()),
                )
            }
            _ if is_word(first, "mod") || is_word(first, "use") => {
                rest.iter().position(|token| is_punct(token, ';')).map_or(rest.len(), |end| end + 1)
            }
            _ => return false,
        };
        rest = &rest[length.min(rest.len())..];
    }
    true
}

/// The names that top-level items define.
fn definitions(tokens: &[TokenTree]) -> BTreeSet<String> {
    const ITEMS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"];
    let pairs = tokens.windows(2).filter(|pair| ITEMS.iter().any(|item| is_word(&pair[0], item)));
    pairs.filter_map(|pair| word(&pair[1]).map(ToString::to_string)).collect()
}

/// The paths of a file.
#[derive(Default)]
struct Found {
    uses: Vec<(String, Vec<String>)>,
    paths: Vec<Vec<String>>,
}

impl Found {
    /// Reads tokens; `prefix` is the path that the tree of a `use` stands behind.
    fn read(&mut self, tokens: &[TokenTree], prefix: &[String]) {
        let mut place = 0;
        while place < tokens.len() {
            let token = &tokens[place];
            if is_word(token, "use") {
                let end = tokens[place..].iter().position(|token| is_punct(token, ';'));
                let end = place + end.unwrap_or(tokens.len() - place);
                self.read_use(&tokens[place + 1..end], prefix);
                place = end;
            } else if is_word(token, "pub") && tokens.get(place + 1).is_some_and(is_parenthesis) {
                // the path in `pub(in path)` is no import
                place += 2;
            } else if word(token).is_some() {
                let (path, length) = path_at(&tokens[place..]);
                if path.len() > 1 {
                    self.paths.push(path);
                }
                place += length;
            } else {
                if let TokenTree::Group(group) = token {
                    self.read(&group.stream().into_iter().collect::<Vec<_>>(), &[]);
                }
                place += 1;
            }
        }
    }

    /// Reads the tree of a `use`.
    fn read_use(&mut self, tree: &[TokenTree], prefix: &[String]) {
        for branch in tree.split(|token| is_punct(token, ',')) {
            let (path, length) = path_at(branch);
            let full: Vec<_> = prefix.iter().cloned().chain(path).collect();
            match branch.get(length) {
                Some(group) if braces(group).is_some() => {
                    let inner: Vec<_> = braces(group).unwrap().stream().into_iter().collect();
                    self.read_use(&inner, &full);
                }
                Some(glob) if is_punct(glob, '*') => self.uses.push(("*".into(), full)),
                renamed => {
                    self.add(full, renamed.and_then(|_| word(branch.last()?)).map(ToString::to_string))
                }
            }
        }
    }

    fn add(&mut self, mut path: Vec<String>, alias: Option<String>) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last() {
            self.uses.push((alias.unwrap_or_else(|| last.clone()), path.clone()));
            self.paths.push(path);
        }
    }
}

fn is_parenthesis(token: &TokenTree) -> bool {
    group_of(token, Delimiter::Parenthesis).is_some()
}

/// The path that tokens begin with, `a::b::c`, and how many tokens it takes, with the `::` behind it.
fn path_at(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let (mut path, mut place) = (Vec::new(), 0);
    while let Some(name) = tokens.get(place).and_then(word) {
        path.push(name.to_string());
        place += 1;
        let joined = tokens.get(place).zip(tokens.get(place + 1));
        if !joined.is_some_and(|(one, other)| is_punct(one, ':') && is_punct(other, ':')) {
            break;
        }
        place += 2;
    }
    (path, place)
}
