//! How a volume in patient space becomes pictures: what may be chosen, and what was.

/// Words of an option, each with what it means.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $case:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$what])* $case,)*
        }

        impl $name {
            /// The words used in options and JSON.
            pub(crate) const WORDS: &[&str] = &[$($word),*];

            /// The word used in options and JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$case => $word,)*
                }
            }

            /// What a word of an option means.
            pub(crate) fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($name::$case),)*
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// The form in which a volume in patient space goes to the model.
    VolumeForm {
        /// As published training data were prepared: values brought to 0..1, cropped to what is not background, resized to 32
        /// planes of 256×256, of which some are frames.
        Trained = "trained",
        /// Slices in their own size, values by one window.
        Native = "native",
    }
}

words! {
    /// A plane through the patient. Pictures stand upright, with the patient's right on their left.
    Plane {
        /// From the feet to the head; anterior on top.
        Axial = "axial",
        /// From anterior to posterior; the head on top.
        Coronal = "coronal",
        /// From right to left; the head on top, anterior on the left.
        Sagittal = "sagittal",
    }
}

words! {
    /// What becomes of the slices between two frames.
    Slab {
        /// A frame is made of the one or two slices at its place.
        None = "none",
        /// A frame is the mean of the slices that are nearest to it.
        Mean = "mean",
        /// A frame has the highest of the values of the slices that are nearest to it.
        Max = "max",
    }
}

words! {
    /// What is cut off before planes are made.
    Crop {
        /// Nothing.
        None = "none",
        /// Borders that are at the lower end of the range.
        Foreground = "foreground",
    }
}

/// How a volume in patient space was looked at. Slices are counted in the order of the plane, from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VolumeView {
    /// The form.
    pub form: VolumeForm,
    /// The plane; none if the study does not say how the patient lies.
    pub plane: Option<Plane>,
    /// Slices of the whole study in this plane.
    pub slices: usize,
    /// Slices that the frames are made of.
    pub covered: usize,
    /// The values that became black and white, before a plane was scaled by its own range; none where there is no such range.
    pub range: Option<[f64; 2]>,
    /// Where the range comes from, in words.
    pub range_from: String,
    /// What became of the slices between two frames.
    pub slab: Slab,
    /// First place and end of what was kept of slices, rows and columns, where something was cut off.
    pub crop: Option<[[usize; 2]; 3]>,
    /// The volume from the side of its slices, where a preview asked for it.
    pub(crate) scout: Option<Scout>,
}

/// A small picture of a volume from the side of its slices, as an overview of a scanner is. The head is on top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scout {
    /// Pixels in a row.
    pub(crate) columns: usize,
    /// 8-bit grey, row by row.
    pub(crate) grey: Vec<u8>,
    /// Height and width of what it shows, in one unit.
    pub(crate) size: [f64; 2],
    /// Where the first slice lies.
    pub(crate) first: Edge,
}

/// The side of a picture at which slices begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Bottom,
    Left,
}
