//! `fleming preview`: what the model will see, before it is asked.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use fleming::wire;
use fleming::{Package, Preview, ReadOptions, Watch, preview};
use serde_json::{Value, json};

use super::arguments::{Given, Seeing};
use super::emit;
use super::exit::cancel_on_interrupt;
use super::options::folder;
use super::output::note;
use super::reading::ReadingBar;
use super::studies::Studies;
use super::{files, sheet};

/// Make a picture of what the model will see: the frames side by side, each with what it is, and where in the study they lie.
///
/// The model is not loaded: of its package only the size of its tiles counts. The picture names no file and no patient.
#[derive(Args)]
pub(super) struct PreviewVerb {
    #[command(flatten)]
    studies: Studies,
    #[command(flatten)]
    given: Given<Seeing>,
    /// The picture to write
    #[arg(short, long, value_name = "FILE.png", default_value = "preview.png")]
    output: PathBuf,
    /// Write each frame as it is read, in its own size, into this folder
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Folder of the package that will be asked [default: the demo model, models/demo]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PreviewVerb {
    pub(super) fn run(self) -> Result<ExitCode> {
        let options = self.given.seen()?;
        let bar = ReadingBar::new();
        let watch = bar.over(Watch::default().switch(&cancel_on_interrupt()?));
        let reading = ReadOptions::default().preprocessing(options.ask.preprocessing);
        let reading = reading.budget(options.engine.budget).watch(watch);
        let package = Package::open(&folder(self.model.as_ref())?)?;
        let studies = self.studies.inputs(&options.look);
        files::try_file(&self.output)?;
        self.studies.spared(&self.output)?;
        let seen = preview(&package, &studies, options.ask.max_tiles, &reading)?;
        drop(bar);
        let kinds: Vec<_> = seen.frames.iter().map(|frame| frame.provenance.modality).collect();
        self.given.chosen()?.fit(&kinds)?;
        sheet::save(&self.output, &seen.sheet)?;
        self.write_frames(&seen)?;
        match self.json {
            true => emit(format_args!("{}\n", self.to_json(&seen))),
            false => {
                seen.warnings.iter().for_each(|warning| note(format_args!("warning: {warning}")));
                let frames = seen.frames.len();
                emit(format_args!("{}: {}\n", self.output.display(), wire::counted(frames, "frame")));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn write_frames(&self, seen: &Preview) -> Result<()> {
        let Some(folder) = &self.pictures else { return Ok(()) };
        files::make_folder(folder)?;
        for (number, picture) in
            (0..seen.frames.len()).filter_map(|number| Some((number, seen.picture(number)?)))
        {
            sheet::save(&folder.join(format!("{number:04}.png")), &picture)?;
        }
        Ok(())
    }

    fn to_json(&self, seen: &Preview) -> Value {
        json!({
            "picture": self.output.display().to_string(),
            "frames": seen.frames.iter().map(wire::frame).collect::<Vec<_>>(),
            "warnings": seen.warnings,
        })
    }
}
