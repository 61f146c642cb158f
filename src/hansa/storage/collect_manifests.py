"""Collection of manifests: of no version they are condemned and go with their data keys; small ones gather."""

from hansa.storage.collection import Collection, short_listing
from hansa.storage.condemned import MANIFEST_ROW, decode_row, encode_row
from hansa.storage.manifests import is_bundled
from hansa.storage.marking import ChainView
from hansa.storage.names import name_manifest


class ManifestCollection:
    """The steps over one run's manifests: `survey`, `judge`, `gather`, in this order."""

    def __init__(self, run: Collection) -> None:
        self._run = run
        self._manifests = run.versions.manifests
        self._table = run.versions.chunks.table
        self._store = run.versions.chunks.store
        self._objects: set[bytes] = set()
        self._bundled: dict[bytes, int] = {}

    def survey(self) -> set[bytes]:
        """Return the roots of all manifests, in bundles and in objects of their own.

        Raises:
            UnavailableError: the store does not list what it holds, or a bundle cannot be read.
        """
        # First what must be there, then the list: what comes in between is no contradiction.
        bound = [root for root, _row in self._run.versions.versions()]
        self._bundled = self._manifests.bundled()
        self._objects = self._manifests.objects()
        for root in bound:
            if root in self._objects or root in self._bundled:
                continue
            if self._store.exists(name_manifest(root)):
                raise short_listing(name_manifest(root))
        return self._objects | self._bundled.keys()

    def judge(self, view: ChainView, listed: set[bytes]) -> None:
        """Condemn or delete manifests, and data keys, of no version."""
        living = set(view.living) | {root for root, _ in self._run.versions.versions()}
        living |= self._run.versions.leases.active(view.time_ms)
        since = {key[1:]: decode_row(row)[0] for key, row in self._table.scan(MANIFEST_ROW)}
        dead = sorted((listed | set(self._run.keyring.key_roots())) - living)
        changes: list[tuple[bytes, bytes | None]] = [
            (MANIFEST_ROW + root, None) for root in since.keys() - set(dead)
        ]
        ripe: list[bytes] = []
        for root in dead:
            time = since.get(root, -1)
            if time < 0 or time > self._run.now_ms:
                self._run.report.manifests_condemned += 1
                size = self._bundled.get(root, 0)
                if root in self._objects:
                    size += self._store.size(name_manifest(root))
                changes.append((MANIFEST_ROW + root, encode_row(self._run.now_ms, size)))
            elif self._run.now_ms - time < self._run.options.grace_ms:
                self._run.report.manifests_waiting += 1
            else:
                ripe.append(root)
        if self._run.options.dry_run:
            self._run.report.manifests_deleted = len(ripe)
            return
        if changes:
            self._table.write(changes)
        for done, root in enumerate(ripe):
            self._delete(root, view)
            self._run.progress("manifests", done + 1, len(ripe))

    def _delete(self, root: bytes, view: ChainView) -> None:
        """Destroy a version's data key, then delete its manifest, unless it was leased meanwhile."""
        name, is_object = name_manifest(root), root in self._objects
        size = self._store.size(name) if is_object else 0
        with self._run.versions.deciding:
            if self._run.versions.is_bound(root) or root in self._run.versions.leases.active(
                view.time_ms
            ):
                return
            self._run.report.keys_destroyed += self._run.keyring.destroy_keys([root])
            if is_object:
                self._store.delete(name)
            is_gone = self._manifests.forget(root)
            if is_gone:
                self._table.write([(MANIFEST_ROW + root, None)])
        self._run.report.bytes_freed += size
        if not is_gone:
            self._run.report.manifests_waiting += 1
        elif is_object or root in self._bundled:
            self._run.report.manifests_deleted += 1

    def gather(self) -> None:
        """Move living small manifests that are objects of their own to a bundle."""
        roots = [
            root
            for root, row in self._run.versions.versions()
            if root in self._objects and is_bundled(row.manifest_bytes)
        ]
        self._run.report.manifests_gathered = len(roots)
        if roots and not self._run.options.dry_run:
            self._run.report.manifests_gathered = self._manifests.gather(roots)
