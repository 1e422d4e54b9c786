//! Kills that were left in the state folder, for a gateway that is down or hung: read before anything is served, and
//! every second after.
//!
//! The state itself is locked by the process that hangs, so an order is a file of its own in the folder `orders`:
//! complete under its name or not there at all, and on disk before the command that leaves it ends. An order that
//! cannot be read may be about any vendor, so everything is killed. A file is removed when its kill is durable; a crash
//! repeats it and never loses it. The actor is the name that the shell gave: not an operator who was authenticated.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bounds::{LEFT_ORDER_BYTES_MAX, LEFT_ORDERS_MAX};
use crate::kill::{Evidence, KillOrder, KillOrigin, KillSelector, KillSwitch, KillTarget, PendingKill};
use crate::model::{Moment, UnixTime};

const FOLDER: &str = "orders";
const WHOLE: &str = "json";

/// A kill that a shell leaves for a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflineKill {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who, as the shell said.
    pub by: String,
    /// Why, in a person's words.
    pub reason: String,
    /// The vendor, or `*`.
    pub vendor: String,
    /// How much of the vendor.
    #[serde(rename = "reach", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
}

/// Leaves an order for the gateway that keeps its state in this folder. It is on disk when this returns.
///
/// # Errors
/// When it cannot be written, or no gateway keeps its state there; nothing is ordered then.
pub fn leave_offline_kill(state: &Path, order: &OfflineKill) -> io::Result<PathBuf> {
    if !crate::store::Store::is_in(state) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no gateway keeps its state in this folder"));
    }
    let owner = fs::metadata(state)?;
    let folder = state.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    hand_over(&File::open(&folder)?, &owner)?;
    let name = format!("{:014}-{}", order.at_ms, std::process::id());
    let (unfinished, whole) = (folder.join(format!("{name}.new")), folder.join(format!("{name}.{WHOLE}")));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    hand_over(&file, &owner)?;
    file.write_all(&serde_json::to_vec(order)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, &whole)?;
    File::open(&folder)?.sync_all()?;
    File::open(state)?.sync_all()?;
    Ok(whole)
}

/// Makes a file the gateway's, as `owner` is: an administrator's shell runs as another user than the one that must read
/// and remove it.
pub(super) fn hand_over(file: &File, owner: &fs::Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    let same = (owner.uid(), owner.gid()) == (ours.uid(), ours.gid());
    if same { Ok(()) } else { fchown(file, Some(owner.uid()), Some(owner.gid())) }
}

/// A file that was found: the order that it holds, or why it holds none.
#[derive(Debug)]
pub(super) struct OfflineKillFile {
    path: PathBuf,
    order: Result<OfflineKill, String>,
}

/// The files that were left, oldest first. May block.
pub(super) fn read_all(state: &Path) -> Vec<OfflineKillFile> {
    let folder = state.join(FOLDER);
    match list(&folder) {
        Ok(mut paths) => {
            paths.sort_unstable();
            if paths.len() > LEFT_ORDERS_MAX {
                let order = Err(format!("there are more than {LEFT_ORDERS_MAX}"));
                paths.truncate(1);
                return paths.into_iter().map(|path| OfflineKillFile { path, order: order.clone() }).collect();
            }
            paths.into_iter().map(|path| OfflineKillFile { order: read(&path), path }).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => vec![OfflineKillFile { path: folder, order: Err(error.to_string()) }],
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let whole = |path: &io::Result<PathBuf>| {
        path.as_ref().map_or(true, |path| path.extension().is_some_and(|extension| extension == WHOLE))
    };
    paths.filter(whole).collect()
}

fn read(path: &Path) -> Result<OfflineKill, String> {
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).open(path).map_err(|error| error.to_string())?;
    let read = file.take(LEFT_ORDER_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if read as u64 > LEFT_ORDER_BYTES_MAX {
        return Err("it is too long".to_owned());
    }
    let order: OfflineKill = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    KillTarget::parse(&order.vendor).map_err(|error| format!("the vendor {error}"))?;
    Ok(order)
}

/// Carries out the kills of files, each once.
#[derive(Debug, Default)]
pub(super) struct HandledFiles(Vec<PathBuf>);

impl HandledFiles {
    /// Puts the kills in force before it returns; they are durable when [`StartedOfflineKill::finish`] returns.
    pub(super) fn begin(
        &mut self,
        switch: &KillSwitch,
        found: Vec<OfflineKillFile>,
        now: Moment,
    ) -> Vec<StartedOfflineKill> {
        // A kill whose file could not be removed is not carried out again each second.
        self.0.retain(|path| found.iter().any(|found| found.path == *path));
        let fresh: Vec<OfflineKillFile> = found.into_iter().filter(|found| !self.0.contains(&found.path)).collect();
        self.0.extend(fresh.iter().map(|found| found.path.clone()));
        let begin = |OfflineKillFile { path, order }: OfflineKillFile| {
            let is_read = order.is_ok();
            let order = order.map_or_else(|why| unreadable(&path, &why, now), |order| order.into_order(now));
            if let KillTarget::Vendor(vendor) = &order.target {
                switch.gate(vendor);
            }
            let severing = switch.kill(order).ok()?;
            Some(StartedOfflineKill { path, is_read, severing })
        };
        fresh.into_iter().filter_map(begin).collect()
    }
}

/// A kill in force whose file has not been removed yet.
#[derive(Debug)]
pub(super) struct StartedOfflineKill {
    path: PathBuf,
    is_read: bool,
    severing: PendingKill,
}

impl StartedOfflineKill {
    /// Waits until the kill is durable and takes the file away; what could not be read is kept aside for a person.
    pub(super) async fn finish(self) {
        if !self.severing.finish().await.persisted {
            tracing::error!(path = %self.path.display(), "an order that was left is in force and not on disk yet: its file stays");
            return;
        }
        let done = match self.is_read {
            true => fs::remove_file(&self.path),
            false => fs::rename(&self.path, self.path.with_extension("unreadable")),
        };
        if let Err(error) = done {
            tracing::error!(path = %self.path.display(), %error, "an order that was left cannot be taken away");
        }
    }
}

impl OfflineKill {
    /// An order as it is to be left now.
    #[cfg(test)]
    pub fn new(target: &KillTarget, selector: KillSelector, by: &str, reason: &str, at: UnixTime) -> Self {
        let (by, reason, vendor) = (by.to_owned(), reason.to_owned(), target.as_str().to_owned());
        Self { at_ms: at.as_millis(), by, reason, vendor, selector }
    }

    fn into_order(self, now: Moment) -> KillOrder {
        let detail = format!("left in the state folder at {}", UnixTime::from_millis(self.at_ms));
        let evidence = Some(Evidence { at: now.wall, kind: "left_order".to_owned(), detail });
        // It was parsed when it was read.
        let target = KillTarget::parse(&self.vendor).unwrap_or(KillTarget::Everything);
        let by = format!("shell:{}", self.by);
        let order = KillOrder::new(target, KillOrigin::Operator, &by, &self.reason, now);
        KillOrder { selector: self.selector, evidence, ..order }
    }
}

fn unreadable(path: &Path, why: &str, now: Moment) -> KillOrder {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    tracing::error!(path = %path.display(), why, "an order that was left cannot be read: everything is cut off");
    let reason =
        format!("the order {name} that was left in the state folder cannot be read, so it may be about anybody");
    KillOrder::by_gateway(KillTarget::Everything, KillOrigin::Operator, &reason, now)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kill::KillState;
    use crate::model::Clock;
    use crate::store::Store;

    fn order(vendor: &str) -> OfflineKill {
        let [by, reason, vendor] = ["carol", "it hangs", vendor].map(str::to_owned);
        OfflineKill {
            at_ms: Clock::system().now().wall.as_millis(),
            by,
            reason,
            vendor,
            selector: KillSelector::default(),
        }
    }

    fn start(state: &Path) -> KillSwitch {
        KillSwitch::start(Store::open(state), Clock::system(), Arc::new(|_| {})).unwrap()
    }

    async fn take(state: &Path, switch: &KillSwitch) -> usize {
        let begun = HandledFiles::default().begin(switch, read_all(state), Clock::system().now());
        let count = begun.len();
        for begun in begun {
            begun.finish().await;
        }
        count
    }

    #[tokio::test]
    async fn an_order_is_carried_out_once_and_survives_the_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(leave_offline_kill(folder.path(), &order("acme")).is_err(), "nobody keeps state here");
        let switch = start(folder.path());
        let path = leave_offline_kill(folder.path(), &order("acme")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!((take(folder.path(), &switch).await, take(folder.path(), &switch).await), (1, 0));
        drop(switch);
        let again = start(folder.path());
        let status = again.status();
        assert_eq!((status[0].state, status[0].kills[0].by.as_str()), (KillState::Killed, "shell:carol"));
    }

    #[tokio::test]
    async fn an_order_that_cannot_be_read_kills_everything_once() {
        for torn in ["", "{", r#"{"vendor":"*"}"#, r#"{"at_ms":1,"by":"c","reason":"r","vendor":"NO"}"#, "\0\0"] {
            let folder = tempfile::tempdir().unwrap();
            let switch = start(folder.path());
            let path = leave_offline_kill(folder.path(), &order("acme")).unwrap();
            fs::write(&path, torn).unwrap();
            assert_eq!(take(folder.path(), &switch).await, 1, "{torn}");
            assert!(switch.covers(&KillTarget::Everything, &KillSelector::default()), "{torn}");
            assert_eq!(take(folder.path(), &switch).await, 0, "{torn}: it is kept aside");
            assert!(path.with_extension("unreadable").exists());
        }
    }
}
