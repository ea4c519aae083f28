//! Optimization profiles: the ranges of input shapes that TensorRT must know before it builds a plan.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::contract::{Dimension, GraphContract, Graphs, TensorContract};
use crate::error::{Error, Result};

/// The profiles of both graphs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Profiles {
    pub vision: Vec<Profile>,
    pub decoder: Vec<Profile>,
}

/// The input shapes of one kind of run.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Profile {
    pub name: String,
    pub inputs: BTreeMap<String, ShapeRange>,
}

/// The smallest, the usual and the largest shape of an input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ShapeRange {
    pub min: Vec<i64>,
    pub opt: Vec<i64>,
    pub max: Vec<i64>,
}

/// Refuses profiles that do not fit the graphs. `path` is for errors.
///
/// # Errors
/// [`Error::Package`] naming the profile and the input.
pub(super) fn check(path: &Path, profiles: &Profiles, graphs: &Graphs) -> Result<()> {
    let complain = |what: String, wanted: &str, got: String| {
        Err(Error::package(format!("{}: {what}", path.display()), wanted, got)
            .hint("export the checkpoint again"))
    };
    for (kind, contract, profiles) in
        [("vision", &graphs.vision, &profiles.vision), ("decoder", &graphs.decoder, &profiles.decoder)]
    {
        if profiles.is_empty() {
            return complain(format!("profiles.{kind}"), "at least one", "none".into());
        }
        for profile in profiles {
            if let Err(Misfit { input, wanted, got }) = profile.fits(contract) {
                return complain(format!("profiles.{kind}: {}: {input}", profile.name), &wanted, got);
            }
        }
    }
    Ok(())
}

/// An input of a profile that does not fit the graph.
struct Misfit {
    input: String,
    wanted: String,
    got: String,
}

impl Profile {
    fn fits(&self, contract: &GraphContract) -> std::result::Result<(), Misfit> {
        let unknown =
            self.inputs.keys().find(|name| contract.inputs.iter().all(|input| input.name != **name));
        if let Some(name) = unknown {
            return Err(Misfit::of(name, "an input of the graph", "none of that name"));
        }
        let mut named = BTreeMap::new();
        for input in &contract.inputs {
            match self.inputs.get(&input.name) {
                Some(range) => range.fits(input, &mut named)?,
                None if input.shape.iter().any(|size| matches!(size, Dimension::Named(_))) => {
                    return Err(Misfit::of(&input.name, "a range for a shape that varies", "none"));
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl ShapeRange {
    /// `named` are the sizes that names have stood for so far: a name stands for the same sizes in all inputs.
    fn fits<'a>(
        &self,
        input: &'a TensorContract,
        named: &mut BTreeMap<&'a str, [i64; 3]>,
    ) -> std::result::Result<(), Misfit> {
        let misfit = |wanted: &str| {
            Misfit::of(
                &input.name,
                wanted,
                &format!("min {:?}, opt {:?}, max {:?}", self.min, self.opt, self.max),
            )
        };
        if [&self.min, &self.opt, &self.max].iter().any(|shape| shape.len() != input.shape.len()) {
            return Err(misfit(&format!("{} sizes", input.shape.len())));
        }
        for (axis, size) in input.shape.iter().enumerate() {
            let found @ [min, opt, max] = [self.min[axis], self.opt[axis], self.max[axis]];
            if !(1 <= min && min <= opt && opt <= max && max <= i64::from(i32::MAX)) {
                return Err(misfit("sizes from 1 on, min ≤ opt ≤ max"));
            }
            let (name, known) = match size {
                Dimension::Fixed(size) => ("what is fixed", [*size; 3]),
                Dimension::Named(name) => (name.as_str(), *named.entry(name).or_insert(found)),
            };
            if known != found {
                return Err(misfit(&format!("{name} to be {known:?} in all inputs")));
            }
        }
        Ok(())
    }
}

impl Misfit {
    fn of(input: &str, wanted: &str, got: &str) -> Self {
        Self { input: input.into(), wanted: wanted.into(), got: got.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> GraphContract {
        let named = |name: &str| Dimension::Named(name.into());
        let tensor = |name: &str, shape: &[Dimension]| TensorContract {
            name: name.into(),
            dtype: "int64".into(),
            shape: shape.to_vec(),
        };
        let inputs = vec![
            tensor("ids", &[named("batch"), named("sequence")]),
            tensor("last", &[named("batch")]),
            tensor("cache", &[named("batch"), Dimension::Fixed(2)]),
            tensor("constant", &[Dimension::Fixed(1)]),
        ];
        GraphContract { file: "graph.onnx".into(), inputs, outputs: Vec::new() }
    }

    fn profile(change: impl Fn(&mut BTreeMap<String, ShapeRange>)) -> Profile {
        let sizes = |min: &[i64], opt: &[i64], max: &[i64]| ShapeRange {
            min: min.into(),
            opt: opt.into(),
            max: max.into(),
        };
        let mut inputs = BTreeMap::from([
            ("ids".into(), sizes(&[1, 1], &[1, 8], &[4, 16])),
            ("last".into(), sizes(&[1], &[1], &[4])),
            ("cache".into(), sizes(&[1, 2], &[1, 2], &[4, 2])),
        ]);
        change(&mut inputs);
        Profile { name: "all".into(), inputs }
    }

    #[test]
    fn a_profile_lies_within_its_graph() {
        assert!(profile(|_| {}).fits(&contract()).is_ok());
        type Change = fn(&mut BTreeMap<String, ShapeRange>);
        let table: [(&str, Change); 9] = [
            ("last", |inputs| drop(inputs.remove("last"))),
            ("other", |inputs| drop(inputs.insert("other".into(), inputs["last"].clone()))),
            ("ids", |inputs| inputs.get_mut("ids").unwrap().opt = vec![1]),
            ("ids", |inputs| inputs.get_mut("ids").unwrap().min[1] = 0),
            ("ids", |inputs| inputs.get_mut("ids").unwrap().min[1] = 9),
            ("ids", |inputs| inputs.get_mut("ids").unwrap().max[1] = 7),
            ("ids", |inputs| inputs.get_mut("ids").unwrap().max[1] = 1 << 31),
            ("cache", |inputs| inputs.get_mut("cache").unwrap().max[1] = 3),
            ("last", |inputs| inputs.get_mut("last").unwrap().max[0] = 5),
        ];
        for (place, (input, change)) in table.into_iter().enumerate() {
            let misfit = profile(change).fits(&contract()).unwrap_err();
            assert_eq!(misfit.input, input, "{place}: wanted {}, got {}", misfit.wanted, misfit.got);
        }
    }
}
