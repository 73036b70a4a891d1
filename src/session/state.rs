//! The states of a session.

/// What the client may say next, and what happens with it.
#[derive(Debug)]
pub(super) enum State {
    /// Outside a batch; answers to earlier ones may still be outstanding.
    Ready,
    /// A Query is being answered; the client's next frames wait.
    Simple,
    /// Inside a batch of the extended protocol.
    Extended(Batch),
    /// An error was seen in the batch: everything up to its Sync is skipped.
    Discarding(Batch),
    /// The client feeds a COPY.
    CopyIn(CopyIn),
    /// The client said goodbye.
    Closed,
}

/// A batch of the extended protocol: what stands between two Syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Upstream has seen something of it that begins a transaction: a Close does not.
    pub(super) sent: bool,
    /// We began a transaction for it, to be ended at its Sync.
    pub(super) opened: bool,
}

/// A COPY FROM STDIN that waits for data.
#[derive(Debug)]
pub(super) struct CopyIn {
    /// What it is part of, and goes on when the client is done.
    pub(super) within: Within,
    /// A Sync came behind the data that came last.
    pub(super) synced: bool,
}

/// Where a COPY stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// In a Query.
    Simple,
    /// In a batch.
    Extended(Batch),
}

impl State {
    /// The batch that is open.
    pub(super) fn batch(&mut self) -> Option<&mut Batch> {
        match self {
            Self::Extended(batch) | Self::Discarding(batch) | Self::CopyIn(CopyIn { within: Within::Extended(batch), .. }) => {
                Some(batch)
            }
            Self::Ready | Self::Simple | Self::CopyIn(CopyIn { within: Within::Simple, .. }) | Self::Closed => None,
        }
    }
}
