package sqlite

import (
	"github.com/seawall-dev/seawall/internal/store/pack"
)

var (
	qDivert = newQuery(`UPDATE unfinished SET queue = ?1, origin = ifnull(origin, queue), round = 0, since = ?2, flags = flags | 16
		WHERE id = ?3`)
	qUnfinishedOrigin = newQuery("SELECT origin FROM unfinished WHERE id = ?")
	qFinishedOrigin   = newQuery("SELECT origin FROM finished WHERE id = ?")

	qTries  = newQuery("SELECT n, data FROM attempt WHERE delivery = ?")
	qSetTry = newQuery("UPDATE attempt SET data = ? WHERE delivery = ? AND n = ?")
)

// divert moves a delivery that was just settled as pending into another queue,
// and returns that.
func (t *txn) divert(in *settlement, key int64, now standing) (to int64, err error) {
	if to, err = t.queueOf(in.Move.Destination, in.Move.System, in.Move.Shard); err != nil {
		return 0, err
	}
	if err := t.use(qDivert).int(to).int(in.At.UnixMicro()).int(key).exec(); err != nil {
		return 0, err
	}
	return to, t.readdress(key, now.queue, to)
}

// firstQueue is where a delivery was before it was diverted, if it was.
func (t *txn) firstQueue(key, queue int64, origin *query) (int64, error) {
	first, err := one(t.use(origin).int(key))
	if first == 0 {
		first = queue
	}
	return first, err
}

// readdress says in a delivery's attempts where they were made to, as the delivery
// goes from one queue to another.
func (t *txn) readdress(key, from, to int64) error {
	before, after := t.linesByID[from].destination, t.linesByID[to].destination
	if before == after {
		return nil
	}
	changed := map[int64][]byte{}
	st := t.use(qTries).int(key)
	for st.next() {
		n := st.getInt()
		data, err := pack.Readdress(st.peek(), before, after)
		if err != nil {
			st.done()
			return err
		}
		changed[n] = data
	}
	if err := st.done(); err != nil {
		return err
	}
	for n, data := range changed {
		if err := t.use(qSetTry).blob(data).int(key).int(n).exec(); err != nil {
			return err
		}
	}
	return nil
}
