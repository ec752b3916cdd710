//! The graph itself: nodes are stream tables, edges lead from a source to its readers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Clone)]
struct Node {
    relid: u32,
    sources: Vec<u32>,
}

/// The stream tables of a database. Ids are those of the catalog, sources are relations.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: BTreeMap<i64, Node>,
    by_relation: HashMap<u32, i64>,
    readers: HashMap<u32, Vec<i64>>,
}

impl Graph {
    /// Adds a stream table, or replaces what was known of it.
    pub fn insert(&mut self, id: i64, relid: u32, sources: Vec<u32>) {
        self.remove(id);
        self.by_relation.insert(relid, id);
        for source in &sources {
            self.readers.entry(*source).or_default().push(id);
        }
        self.nodes.insert(id, Node { relid, sources });
    }

    /// Removes a stream table.
    pub fn remove(&mut self, id: i64) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        if self.by_relation.get(&node.relid) == Some(&id) {
            self.by_relation.remove(&node.relid);
        }
        for source in &node.sources {
            if let Some(readers) = self.readers.get_mut(source) {
                readers.retain(|reader| *reader != id);
            }
        }
    }

    /// The relations that a stream table reads.
    pub fn sources_of(&self, id: i64) -> &[u32] {
        self.nodes
            .get(&id)
            .map_or(&[], |node| node.sources.as_slice())
    }

    /// The stream tables that read a relation.
    pub fn readers_of(&self, relid: u32) -> &[i64] {
        self.readers.get(&relid).map_or(&[], Vec::as_slice)
    }

    /// The stream tables that read this one.
    pub fn downstream(&self, id: i64) -> &[i64] {
        self.nodes
            .get(&id)
            .map_or(&[], |node| self.readers_of(node.relid))
    }

    /// The stream tables that this one reads.
    pub fn upstream(&self, id: i64) -> impl Iterator<Item = i64> {
        let sources = self.nodes.get(&id).map(|node| node.sources.as_slice());
        sources
            .unwrap_or_default()
            .iter()
            .filter_map(|source| self.by_relation.get(source).copied())
    }

    /// `ids` so that each comes after those of them that it reads, directly or not. By rising id
    /// where nothing else decides. Members of a cycle, which should not be, come last.
    pub fn in_order(&self, ids: &BTreeSet<i64>) -> Vec<i64> {
        let mut needs: BTreeMap<i64, usize> = BTreeMap::new();
        let mut readers: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut ready: BTreeSet<i64> = BTreeSet::new();
        for id in ids {
            let mut above = self.ancestors(*id);
            above.retain(|above| ids.contains(above));
            for above in &above {
                readers.entry(*above).or_default().push(*id);
            }
            match above.len() {
                0 => ready.insert(*id),
                count => needs.insert(*id, count).is_none(),
            };
        }
        let mut ordered = Vec::with_capacity(ids.len());
        while let Some(next) = ready.pop_first() {
            for reader in readers.remove(&next).unwrap_or_default() {
                if let Some(missing) = needs.get_mut(&reader) {
                    *missing -= 1;
                    if *missing == 0 {
                        needs.remove(&reader);
                        ready.insert(reader);
                    }
                }
            }
            ordered.push(next);
        }
        ordered.extend(needs.into_keys());
        ordered
    }

    /// All that a stream table reads, directly or not, itself excluded.
    pub fn ancestors(&self, id: i64) -> BTreeSet<i64> {
        self.reach(id, |at| self.upstream(at).collect())
    }

    /// Everything that is connected with a stream table through stream tables, itself included:
    /// what must not be refreshed at two snapshots at once.
    pub fn island(&self, id: i64) -> BTreeSet<i64> {
        let mut island = self.reach(id, |at| {
            let downstream = self.downstream(at).iter().copied();
            self.upstream(at).chain(downstream).collect()
        });
        island.insert(id);
        island
    }

    fn reach(&self, start: i64, next: impl Fn(i64) -> Vec<i64>) -> BTreeSet<i64> {
        let mut reached = BTreeSet::new();
        let mut pending = next(start);
        while let Some(id) = pending.pop() {
            if id != start && reached.insert(id) {
                pending.extend(next(id));
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relations are ids plus 100; 1 and 2 are plain tables.
    fn diamond() -> Graph {
        let mut graph = Graph::default();
        graph.insert(13, 113, vec![111, 112]);
        graph.insert(11, 111, vec![1]);
        graph.insert(12, 112, vec![1, 2]);
        graph.insert(20, 120, vec![2]);
        graph
    }

    fn set(ids: &[i64]) -> BTreeSet<i64> {
        ids.iter().copied().collect()
    }

    #[test]
    fn what_is_read_comes_first() {
        let mut graph = diamond();
        graph.insert(5, 105, vec![113]);
        assert_eq!(graph.in_order(&set(&[5, 11, 12, 13])), [11, 12, 13, 5]);
    }

    #[test]
    fn order_holds_through_tables_that_are_left_out() {
        let mut graph = diamond();
        graph.insert(5, 105, vec![113]);
        assert_eq!(graph.in_order(&set(&[5, 12])), [12, 5]);
    }

    #[test]
    fn a_diamond_is_one_island_and_common_sources_make_none() {
        let graph = diamond();
        for id in [11, 12, 13] {
            assert_eq!(graph.island(id), set(&[11, 12, 13]));
        }
        assert_eq!(graph.island(20), set(&[20]));
    }

    #[test]
    fn a_removed_table_is_forgotten_everywhere() {
        let mut graph = diamond();
        graph.remove(12);
        assert_eq!(graph.readers_of(2), [20]);
        assert_eq!(graph.upstream(13).collect::<Vec<_>>(), [11]);
        graph.insert(12, 112, vec![2]);
        assert_eq!(graph.ancestors(13), set(&[11, 12]));
        assert_eq!(graph.readers_of(1), [11]);
    }

    #[test]
    fn a_cycle_ends_the_order_and_does_not_hang() {
        let mut graph = diamond();
        graph.insert(11, 111, vec![113]);
        assert_eq!(graph.in_order(&set(&[11, 12, 13])), [12, 11, 13]);
    }
}
