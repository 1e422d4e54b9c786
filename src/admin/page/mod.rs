//! The dashboard's files, in the program: plain HTML, CSS and ES modules of our own, with no library and no build step.
//!
//! They are for everyone who reaches the listener and hold nothing of the gateway: what the page shows it asks of the
//! admin API, as the operator who logged in. Its policy lets a browser run our own files and nothing else: no text ever
//! becomes code or markup (trusted types), so that a vendor's name or a caller's bytes stay text on the page.

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::body::AdminBody;
use super::reply::AdminReply;

/// What a browser may do with the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";

/// A file of the dashboard.
#[derive(Debug)]
pub(super) struct PageFile {
    path: &'static str,
    media: &'static str,
    content: &'static str,
}

/// Writes one entry for each file: its path below `/page/` is its path in this folder.
macro_rules! page_files {
    ($($media:literal: $($name:literal)+;)+) => {
        const FILES: &[PageFile] = &[
            PageFile { path: "/", media: "text/html; charset=utf-8", content: include_str!("index.html") },
            $($(PageFile { path: concat!("/page/", $name), media: $media, content: include_str!($name) },)+)+
        ];
    };
}

page_files! {
    "image/svg+xml": "icon.svg";
    "text/css; charset=utf-8": "base.css" "layout.css" "parts.css" "print.css";
    "text/javascript; charset=utf-8":
        "activity.js" "api.js" "charts.js" "dialogs.js" "dom.js" "exposure.js" "exposure_tables.js" "fleet.js" "format.js"
        "journey.js" "live.js" "login.js" "main.js" "orders.js" "rows.js" "theme.js" "vendor.js" "vendor_panels.js"
        "vendor_row.js";
}

impl PageFile {
    /// The file at this path.
    pub(super) fn find(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// Whether it is what a browser shows when its address is opened.
    pub(super) fn is_document(&self) -> bool {
        self.path == "/"
    }

    pub(super) fn reply(&self) -> AdminReply {
        let mut reply = Response::new(AdminBody::from(Bytes::from_static(self.content.as_bytes())));
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        reply
    }
}
