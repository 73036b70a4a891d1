//! Texts that were analysed before, on the same ground.

use std::collections::HashMap;
use std::sync::Arc;

use super::script::Script;

/// Scripts by their client's text.
#[derive(Debug, Default)]
pub(super) struct Cache {
    scripts: HashMap<Arc<str>, Arc<Script>>,
}

impl Cache {
    /// The analysis of a text, if it is known.
    pub(super) fn find(&self, text: &str) -> Option<&Arc<Script>> {
        self.scripts.get(text)
    }

    /// Keeps an analysis that may be used again.
    pub(super) fn keep(&mut self, script: &Arc<Script>) {
        if !script.repeatable() {
            return;
        }
        // Texts that differ only in literals would fill it without end; starting over costs one analysis each.
        if self.scripts.len() >= MOST {
            self.scripts.clear();
        }
        self.scripts.insert(script.text.clone(), script.clone());
    }

    /// The ground has changed.
    pub(super) fn clear(&mut self) {
        self.scripts.clear();
    }
}

const MOST: usize = 256;
