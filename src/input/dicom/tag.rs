//! The elements that are read.
//!
//! Whatever is not listed here is passed over and never held: names, birth dates, numbers of studies, institutions, free text.
//! The number of a patient becomes a digest as it is read: it tells two patients apart and says nothing of either.

/// How the bytes of a value are to be read, where the data set does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Letters, and numbers in decimal: CS, DS, IS, TM, UI.
    Text,
    U16,
    I16,
    U32,
    I32,
    U64,
    F32,
    F64,
    /// Letters of which only the SHA-256 is kept.
    Digest,
    /// Items of elements.
    Items,
}

impl Form {
    /// The form that a value representation has, if it is one of those that are read.
    pub(super) fn of(representation: [u8; 2]) -> Option<Self> {
        Some(match &representation {
            b"CS" | b"DS" | b"IS" | b"TM" | b"UI" | b"LO" | b"SH" | b"DT" | b"DA" => Form::Text,
            b"US" | b"OW" | b"AT" => Form::U16,
            b"SS" => Form::I16,
            b"UL" | b"OL" => Form::U32,
            b"SL" => Form::I32,
            b"OV" | b"UV" => Form::U64,
            b"FL" | b"OF" => Form::F32,
            b"FD" | b"OD" => Form::F64,
            b"SQ" => Form::Items,
            _ => return None,
        })
    }

    /// Bytes of one number; 1 for text.
    pub(super) fn size(self) -> usize {
        match self {
            Form::Text | Form::Digest | Form::Items => 1,
            Form::U16 | Form::I16 => 2,
            Form::U32 | Form::I32 | Form::F32 => 4,
            Form::U64 | Form::F64 => 8,
        }
    }
}

macro_rules! kept {
    ($($name:ident = $tag:literal $form:ident;)*) => {
        $(pub(super) const $name: u32 = $tag;)*
        /// In the order of the tags.
        static KEPT: &[(u32, Form)] = &[$(($name, Form::$form)),*];
    };
}

kept! {
    TRANSFER_SYNTAX_UID = 0x0002_0010 Text;
    IMAGE_TYPE = 0x0008_0008 Text;
    SOP_CLASS_UID = 0x0008_0016 Text;
    SOP_INSTANCE_UID = 0x0008_0018 Text;
    ACQUISITION_TIME = 0x0008_0032 Text;
    MODALITY = 0x0008_0060 Text;
    PATIENT_ID = 0x0010_0020 Digest;
    CINE_RATE = 0x0018_0040 Text;
    ECHO_NUMBERS = 0x0018_0086 Text;
    FRAME_TIME = 0x0018_1063 Text;
    FRAME_TIME_VECTOR = 0x0018_1065 Text;
    EFFECTIVE_ECHO_TIME = 0x0018_9082 F64;
    MR_ECHO_SEQUENCE = 0x0018_9114 Items;
    SERIES_INSTANCE_UID = 0x0020_000E Text;
    SERIES_NUMBER = 0x0020_0011 Text;
    ACQUISITION_NUMBER = 0x0020_0012 Text;
    INSTANCE_NUMBER = 0x0020_0013 Text;
    IMAGE_POSITION_PATIENT = 0x0020_0032 Text;
    IMAGE_ORIENTATION_PATIENT = 0x0020_0037 Text;
    FRAME_OF_REFERENCE_UID = 0x0020_0052 Text;
    TEMPORAL_POSITION_IDENTIFIER = 0x0020_0100 Text;
    FRAME_CONTENT_SEQUENCE = 0x0020_9111 Items;
    PLANE_POSITION_SEQUENCE = 0x0020_9113 Items;
    PLANE_ORIENTATION_SEQUENCE = 0x0020_9116 Items;
    TEMPORAL_POSITION_INDEX = 0x0020_9128 U32;
    FRAME_ACQUISITION_NUMBER = 0x0020_9156 U16;
    SAMPLES_PER_PIXEL = 0x0028_0002 U16;
    PHOTOMETRIC_INTERPRETATION = 0x0028_0004 Text;
    PLANAR_CONFIGURATION = 0x0028_0006 U16;
    NUMBER_OF_FRAMES = 0x0028_0008 Text;
    ROWS = 0x0028_0010 U16;
    COLUMNS = 0x0028_0011 U16;
    PIXEL_SPACING = 0x0028_0030 Text;
    BITS_ALLOCATED = 0x0028_0100 U16;
    BITS_STORED = 0x0028_0101 U16;
    HIGH_BIT = 0x0028_0102 U16;
    PIXEL_REPRESENTATION = 0x0028_0103 U16;
    PIXEL_PADDING_VALUE = 0x0028_0120 U16;
    PIXEL_PADDING_RANGE_LIMIT = 0x0028_0121 U16;
    BURNED_IN_ANNOTATION = 0x0028_0301 Text;
    WINDOW_CENTER = 0x0028_1050 Text;
    WINDOW_WIDTH = 0x0028_1051 Text;
    RESCALE_INTERCEPT = 0x0028_1052 Text;
    RESCALE_SLOPE = 0x0028_1053 Text;
    RESCALE_TYPE = 0x0028_1054 Text;
    VOI_LUT_FUNCTION = 0x0028_1056 Text;
    RED_DESCRIPTOR = 0x0028_1101 U16;
    GREEN_DESCRIPTOR = 0x0028_1102 U16;
    BLUE_DESCRIPTOR = 0x0028_1103 U16;
    RED_DATA = 0x0028_1201 U16;
    GREEN_DATA = 0x0028_1202 U16;
    BLUE_DATA = 0x0028_1203 U16;
    RED_SEGMENTS = 0x0028_1221 U16;
    GREEN_SEGMENTS = 0x0028_1222 U16;
    BLUE_SEGMENTS = 0x0028_1223 U16;
    MODALITY_LUT_SEQUENCE = 0x0028_3000 Items;
    LUT_DESCRIPTOR = 0x0028_3002 U16;
    LUT_DATA = 0x0028_3006 U16;
    VOI_LUT_SEQUENCE = 0x0028_3010 Items;
    PIXEL_MEASURES_SEQUENCE = 0x0028_9110 Items;
    FRAME_VOI_LUT_SEQUENCE = 0x0028_9132 Items;
    PIXEL_VALUE_TRANSFORMATION_SEQUENCE = 0x0028_9145 Items;
    PRESENTATION_LUT_SHAPE = 0x2050_0020 Text;
    GRID_FRAME_OFFSET_VECTOR = 0x3004_000C Text;
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200_9229 Items;
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200_9230 Items;
    EXTENDED_OFFSET_TABLE = 0x7FE0_0001 U64;
    EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE0_0002 U64;
}

/// 32-bit real numbers as pixels.
pub(super) const FLOAT_PIXEL_DATA: u32 = 0x7FE0_0008;
/// 64-bit real numbers as pixels.
pub(super) const DOUBLE_PIXEL_DATA: u32 = 0x7FE0_0009;
pub(super) const PIXEL_DATA: u32 = 0x7FE0_0010;

pub(super) const ITEM: u32 = 0xFFFE_E000;
pub(super) const ITEM_END: u32 = 0xFFFE_E00D;
pub(super) const SEQUENCE_END: u32 = 0xFFFE_E0DD;

/// How an element is read; `None` where it is not.
pub(super) fn kept(tag: u32) -> Option<Form> {
    KEPT.binary_search_by_key(&tag, |(kept, _)| *kept).ok().map(|place| KEPT[place].1)
}

/// `(0028,0010)`.
pub(super) fn written(tag: u32) -> String {
    format!("({:04X},{:04X})", tag >> 16, tag & 0xFFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_holds_no_identity() {
        assert!(KEPT.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!((kept(ROWS), kept(0x0010_0010)), (Some(Form::U16), None));
        // Patient, physicians, institution, dates, study: none of their groups or elements is listed.
        for (tag, form) in KEPT {
            assert!(tag >> 16 != 0x0010 || *form == Form::Digest, "{}", written(*tag));
            assert!(!(0x0008_0050..=0x0008_0051).contains(tag) && !(0x0008_0080..=0x0008_1090).contains(tag));
        }
    }
}
