"""Collection of packs: those that hold nothing are deleted, those worth it written anew first."""

from collections.abc import Iterator, Sequence

from hansa import limits
from hansa.storage.collection import Collection, short_listing
from hansa.storage.marking import Marks, ids_of
from hansa.storage.names import PACKS, name_pack, parse_root
from hansa.storage.repacking import PackUse, plan_packs


class PackCollection:
    """The steps over one run's packs: `survey` first, `repack` last."""

    def __init__(self, run: Collection) -> None:
        self._run = run
        self._chunks = run.versions.chunks
        self._store = run.versions.chunks.store

    def survey(self) -> None:
        """Note the packs that are in the store and in the table; strangers are left alone."""
        known = list(self._chunks.packs())
        listed = {parse_root(name) for name in self._store.list(PACKS)}
        for root, row in known:
            if root in listed:
                self._run.uses[root] = PackUse(
                    root, row.cluster, row.bytes, self._run.is_fresh(root)
                )
            elif self._store.exists(name_pack(root)):
                raise short_listing(name_pack(root))

    def repack(self, marks: Marks) -> None:
        """Delete packs that hold nothing, write those anew that are worth it."""
        plan = plan_packs(self._run.uses.values(), compact=self._run.options.compact)
        if self._run.options.dry_run:
            self._run.report.packs_deleted = len(plan.drop)
            self._run.report.packs_rewritten = len(plan.rewrite)
            return
        total = len(plan.drop) + len(plan.rewrite)
        for done, root in enumerate(plan.drop):
            self._drop([root])
            self._run.progress("packs", done + 1, total)
        done = len(plan.drop)
        for group in self._groups(plan.rewrite):
            self._rewrite(group, marks)
            done += len(group)
            self._run.progress("packs", done, total)

    def _groups(self, roots: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Split packs into those written anew together: one cluster, so much that packs get full."""
        group: list[bytes] = []
        size = 0
        for root in roots:
            use = self._run.uses[root]
            is_other = group and self._run.uses[group[0]].home() != use.home()
            if group and (is_other or size + use.living_bytes > limits.REPACK_BYTES_AT_ONCE):
                yield group
                group, size = [], 0
            group.append(root)
            size += use.living_bytes
        if group:
            yield group

    def _rewrite(self, group: list[bytes], marks: Marks) -> None:
        """Store what lives in some packs anew, each chunk with its cluster; then delete them."""
        before = self._chunks.addresses.packed_bytes
        clusters = sorted(
            {cluster for root in group for cluster in self._run.uses[root].by_cluster}
        )
        home = self._run.uses[group[0]].home()
        for cluster in clusters:

            def belongs(digest: bytes, cluster: int = cluster) -> bool:
                found = int(marks.clusters(ids_of([digest]))[0])
                return cluster == (found if found in clusters else home)

            self._chunks.rewrite(group, belongs, cluster)
            self._chunks.flush(cluster)
        self._run.report.packs_rewritten += len(group)
        self._run.report.bytes_freed -= self._chunks.addresses.packed_bytes - before
        self._drop(group)

    def _drop(self, roots: Sequence[bytes]) -> None:
        """Delete packs in which nothing is stored any more."""
        for root in roots:
            if self._chunks.drop_pack(root):
                self._run.report.packs_deleted += 1
                self._run.report.bytes_freed += self._run.uses[root].bytes
