//! What is kept of a data set.

use super::tag::Form;

/// Elements, each by its tag.
#[derive(Clone, Default)]
pub(super) struct Item(Vec<(u32, Value)>);

/// The value of an element.
#[derive(Clone)]
pub(super) enum Value {
    /// Bytes, numbers among them little-endian.
    Plain(Form, Vec<u8>),
    Items(Vec<Item>),
}

impl Item {
    /// Adds an element.
    pub(super) fn push(&mut self, tag: u32, value: Value) {
        self.0.push((tag, value));
    }

    fn value(&self, tag: u32) -> Option<&Value> {
        self.0.iter().find(|(kept, _)| *kept == tag).map(|(_, value)| value)
    }

    /// The items of a sequence; none if it is absent.
    pub(super) fn items(&self, tag: u32) -> &[Item] {
        match self.value(tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// The first item of a sequence.
    pub(super) fn first(&self, tag: u32) -> Option<&Item> {
        self.items(tag).first()
    }

    /// The form and the bytes of a value that is not empty.
    pub(super) fn bytes(&self, tag: u32) -> Option<(Form, &[u8])> {
        match self.value(tag) {
            Some(Value::Plain(form, bytes)) if !bytes.is_empty() => Some((*form, bytes)),
            _ => None,
        }
    }

    /// The words of a value, without the blanks around them. What is not ASCII is no word of what is read here.
    pub(super) fn words(&self, tag: u32) -> Vec<&str> {
        let text = match self.bytes(tag) {
            Some((Form::Text, bytes)) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        };
        let blank = |letter: char| letter.is_whitespace() || letter == '\0';
        if text.trim_matches(blank).is_empty() || !text.is_ascii() {
            return Vec::new();
        }
        text.split('\\').map(|word| word.trim_matches(blank)).collect()
    }

    /// The first word of a value.
    pub(super) fn word(&self, tag: u32) -> Option<&str> {
        self.words(tag).into_iter().next().filter(|word| !word.is_empty())
    }

    /// All numbers of a value; none if one of them is no finite number.
    pub(super) fn numbers(&self, tag: u32) -> Vec<f64> {
        let Some((form, bytes)) = self.bytes(tag) else { return Vec::new() };
        let numbers: Option<Vec<f64>> = match form {
            Form::Text => self.words(tag).into_iter().map(|word| word.parse().ok()).collect(),
            Form::U16 => Some(each(bytes, u16::from_le_bytes).map(f64::from).collect()),
            Form::I16 => Some(each(bytes, i16::from_le_bytes).map(f64::from).collect()),
            Form::U32 => Some(each(bytes, u32::from_le_bytes).map(f64::from).collect()),
            Form::I32 => Some(each(bytes, i32::from_le_bytes).map(f64::from).collect()),
            Form::U64 => Some(each(bytes, u64::from_le_bytes).map(|number| number as f64).collect()),
            Form::F32 => Some(each(bytes, f32::from_le_bytes).map(f64::from).collect()),
            Form::F64 => Some(each(bytes, f64::from_le_bytes).collect()),
            Form::Digest | Form::Items => None,
        };
        numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite())).unwrap_or_default()
    }

    /// The first number of a value.
    pub(super) fn number(&self, tag: u32) -> Option<f64> {
        self.numbers(tag).first().copied()
    }

    /// The first number of a value, if it is whole.
    pub(super) fn whole(&self, tag: u32) -> Option<i64> {
        self.number(tag)
            .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
            .map(|number| number as i64)
    }

    /// `N` numbers.
    pub(super) fn vector<const N: usize>(&self, tag: u32) -> Option<[f64; N]> {
        self.numbers(tag).first_chunk().copied()
    }

    /// 64-bit numbers, as they are.
    pub(super) fn longs(&self, tag: u32) -> Vec<u64> {
        match self.bytes(tag) {
            Some((Form::U64, bytes)) => each(bytes, u64::from_le_bytes).collect(),
            _ => Vec::new(),
        }
    }
}

/// Numbers from little-endian bytes.
pub(super) fn each<'a, const N: usize, T: 'a>(
    bytes: &'a [u8],
    of: impl Fn([u8; N]) -> T + 'a,
) -> impl Iterator<Item = T> + 'a {
    bytes.as_chunks::<N>().0.iter().map(move |chunk| of(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(form: Form, bytes: &[u8]) -> Item {
        let mut item = Item::default();
        item.push(1, Value::Plain(form, bytes.to_vec()));
        item
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (form, bytes, wanted) in [
            (Form::Text, &b" 1.5\\-2e3 \\ 7 "[..], &[1.5, -2000.0, 7.0][..]),
            (Form::Text, b"12\0", &[12.0]),
            (Form::Text, b"1\\x", &[]),
            (Form::Text, b"nan", &[]),
            (Form::Text, b"  ", &[]),
            (Form::Text, "1\\é".as_bytes(), &[]),
            (Form::U16, &[1, 0, 255, 255, 9], &[1.0, 65535.0]),
            (Form::I16, &[255, 255], &[-1.0]),
            (Form::F64, &1.25_f64.to_le_bytes(), &[1.25]),
        ] {
            assert_eq!(item(form, bytes).numbers(1), wanted, "{form:?} {bytes:?}");
        }
        assert_eq!(item(Form::Text, b"2.5").whole(1), None);
        assert_eq!(item(Form::Text, b"3.0 ").whole(1), Some(3));
        assert_eq!(
            item(Form::Text, b" ORIGINAL\\PRIMARY\\AXIAL ").words(1),
            ["ORIGINAL", "PRIMARY", "AXIAL"]
        );
    }
}
