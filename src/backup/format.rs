//! The format: gzip (RFC 1952) of lines of JSON. A header, the rows of each table in the header's order and behind them their
//! number and digest, and a last line with the digest and MAC of all lines before it.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackupError, Result, Summary};
use crate::{
    clock::Timestamp,
    secret::{MasterKey, hex},
    store::{
        newest_schema,
        transfer::{Content, Contents, Row, TABLES, Table, from_line, to_line},
    },
};

const NAME: &str = "grantor backup";
const VERSION: u32 = 1;
/// Longer than any row.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    format: String,
    version: u32,
    /// Of the program that made it.
    pub grantor: String,
    pub schema: i64,
    pub at: Timestamp,
    /// Which kind of database it is of.
    database: String,
    /// The fingerprint of the master key.
    pub master_key: String,
    pub tables: Vec<Table>,
}

impl Header {
    pub(super) fn new(schema: i64, at: Timestamp, database: &str, master_key: String) -> Self {
        Self {
            format: NAME.to_owned(),
            version: VERSION,
            grantor: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            at,
            database: database.to_owned(),
            master_key,
            tables: TABLES.to_vec(),
        }
    }

    fn parse(line: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Named {
            format: String,
            version: u32,
        }
        match serde_json::from_slice::<Named>(line) {
            Ok(named) if named.format == NAME && named.version == VERSION => {}
            Ok(named) if named.format == NAME => return Err(BackupError::OtherFormat { found: named.version, known: VERSION }),
            _ => return Err(BackupError::Foreign),
        }
        let header: Self = serde_json::from_slice(line).map_err(|_| BackupError::Damaged("its first line makes no sense"))?;
        let known = newest_schema();
        if header.schema > known {
            return Err(BackupError::FromTheFuture { program: header.grantor, found: header.schema, known });
        }
        let is_of_today = header.schema == known;
        if header.tables.is_empty() || !header.tables.iter().all(Table::is_sound) || (is_of_today && header.tables != TABLES) {
            return Err(BackupError::Damaged("its list of tables makes no sense"));
        }
        Ok(header)
    }
}

/// Behind the rows of a table.
#[derive(Serialize, Deserialize)]
struct Section {
    table: String,
    rows: u64,
    sha256: String,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    rows: u64,
    sha256: String,
    mac: String,
}

/// Writes a backup, line by line.
pub(super) struct Writer<W: Write> {
    out: GzEncoder<BufWriter<W>>,
    hash: Sha256,
    summary: Summary,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(sink: W, header: &Header) -> Result<Self> {
        let summary = Summary::of(header);
        let mut writer = Self { out: GzEncoder::new(BufWriter::new(sink), Compression::default()), hash: Sha256::new(), summary };
        writer.json(header)?;
        Ok(writer)
    }

    fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(value).map_err(|error| BackupError::Unwritable(io::Error::other(error)))?;
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        for part in [line.as_bytes(), b"\n"] {
            self.hash.update(part);
            self.out.write_all(part).map_err(BackupError::Unwritable)?;
        }
        Ok(())
    }

    pub(super) fn row(&mut self, row: &Row) -> Result<()> {
        self.line(&to_line(row))
    }

    pub(super) fn section(&mut self, table: &Table, content: Content) -> Result<()> {
        self.summary.add(table, content.rows);
        self.json(&Section { table: table.name.to_string(), rows: content.rows, sha256: content.sha256 })
    }

    /// Writes the last line; gives the sink back.
    pub(super) fn end(mut self, master_key: &MasterKey) -> Result<(W, Summary)> {
        let digest = self.hash.clone().finalize();
        self.summary.sha256 = hex(&digest);
        let end = End { rows: self.summary.rows, sha256: self.summary.sha256.clone(), mac: master_key.sign_backup(&digest) };
        self.json(&end)?;
        let buffer = self.out.finish().map_err(BackupError::Unwritable)?;
        let sink = buffer.into_inner().map_err(|error| BackupError::Unwritable(error.into_error()))?;
        Ok((sink, self.summary))
    }
}

/// What comes next in a section.
pub(super) enum Part {
    Rows(Vec<Row>),
    /// The rows before were these.
    End(Content),
}

/// Reads a backup. Nothing of it is to be trusted before [`Reader::end`].
pub(super) struct Reader<R: Read> {
    lines: BufReader<GzDecoder<BufReader<R>>>,
    hash: Sha256,
    line: Vec<u8>,
    contents: Contents,
    summary: Summary,
    /// The end of a section that was read with its last rows.
    section: Option<Section>,
}

impl<R: Read> Reader<R> {
    pub(super) fn begin(source: R) -> Result<(Self, Header)> {
        let mut lines = BufReader::new(GzDecoder::new(BufReader::new(source)));
        let mut line = Vec::new();
        if read_line(&mut lines, &mut line).is_err() {
            return Err(BackupError::Foreign);
        }
        let header = Header::parse(&line)?;
        let (hash, summary) = (Sha256::new_with_prefix(&line), Summary::of(&header));
        Ok((Self { lines, hash, line, contents: Contents::default(), summary, section: None }, header))
    }

    fn next(&mut self) -> Result<()> {
        read_line(&mut self.lines, &mut self.line)
    }

    /// The next rows of this table, or the end of them.
    pub(super) fn part(&mut self, table: &Table) -> Result<Part> {
        let mut rows = Vec::new();
        while self.section.is_none() && rows.len() < table.batch() {
            self.next()?;
            self.hash.update(&self.line);
            if self.line.first() == Some(&b'[') {
                let row = from_line(table, &self.line).ok_or(BackupError::Damaged("a row makes no sense"))?;
                self.contents.add(&row);
                rows.push(row);
            } else {
                self.section = Some(serde_json::from_slice(&self.line).map_err(|_| BackupError::Damaged("a line makes no sense"))?);
            }
        }
        if !rows.is_empty() {
            return Ok(Part::Rows(rows));
        }
        let content = std::mem::take(&mut self.contents).finish();
        match self.section.take() {
            Some(told) if told.table == table.name && told.rows == content.rows && told.sha256 == content.sha256 => {
                self.summary.add(table, content.rows);
                Ok(Part::End(content))
            }
            _ => Err(BackupError::Damaged("the rows of a table are not those that were written")),
        }
    }

    /// Checks that nothing is missing, altered or added.
    pub(super) fn end(mut self, master_key: &MasterKey) -> Result<Summary> {
        let digest = self.hash.clone().finalize();
        self.next()?;
        let end: End = serde_json::from_slice(&self.line).map_err(|_| BackupError::Damaged("its last line makes no sense"))?;
        self.summary.sha256 = hex(&digest);
        if end.sha256 != self.summary.sha256 || end.rows != self.summary.rows {
            return Err(BackupError::Damaged("its checksum is another"));
        }
        if !master_key.backup_is_ours(&digest, &end.mac) {
            return Err(BackupError::Altered);
        }
        let mut rest = [0];
        let is_over = |read: io::Result<usize>| read.is_ok_and(|bytes| bytes == 0);
        // Reading to the end of the stream is what checks its own checksum.
        if is_over(self.lines.read(&mut rest)) && is_over(self.lines.into_inner().into_inner().read(&mut rest)) {
            return Ok(self.summary);
        }
        Err(BackupError::Damaged("something follows its end"))
    }
}

fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    lines.take(LONGEST_LINE).read_until(b'\n', line).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            BackupError::Damaged("it is cut short or garbled")
        }
        _ => BackupError::Unreadable(error),
    })?;
    if line.ends_with(b"\n") { Ok(()) } else { Err(BackupError::Damaged("it is cut short")) }
}

impl Summary {
    fn of(header: &Header) -> Self {
        Self {
            at: header.at.to_string(),
            schema: header.schema,
            grantor: header.grantor.clone(),
            master_key: header.master_key.clone(),
            rows: 0,
            tables: std::collections::BTreeMap::new(),
            sha256: String::new(),
        }
    }

    fn add(&mut self, table: &Table, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
        self.tables.insert(table.name.to_string(), rows);
    }
}
