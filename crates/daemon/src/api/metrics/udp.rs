//! What goes over the UDP sockets, QUIC aside.

use meshline_net::{CompanionReport, UdpReport};

use super::family;

pub(super) fn text(udp: &UdpReport, beside: &CompanionReport) -> String {
    let one = |value: u64| [format!(" {value}")];
    let sockets = u64::try_from(udp.sockets).unwrap_or(u64::MAX);
    [
        family("gauge", "udp_sockets", "UDP sockets that are open", &one(sockets)),
        family("counter", "udp_received_total", "datagrams of UDP handed to the core", &one(udp.received)),
        family("counter", "udp_dropped_total", "datagrams that were nobody's, too long or too many", &one(udp.dropped)),
        family("counter", "udp_sent_total", "datagrams of UDP sent", &one(udp.sent)),
        family("counter", "udp_sent_bytes_total", "bytes in those", &one(udp.sent_bytes)),
        family("counter", "udp_unsent_total", "datagrams of UDP that could not be sent", &one(udp.unsent)),
        family("counter", "beside_sent_total", "packets sent over UDP beside links", &one(beside.sent)),
        family("counter", "beside_received_total", "packets that came so and opened", &one(beside.received)),
        family("counter", "beside_refused_total", "packets that did not open, or came twice", &one(beside.refused)),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_line() {
        let udp = UdpReport { sockets: 1, received: 2, dropped: 3, sent: 4, sent_bytes: 5, unsent: 6 };
        let text = text(&udp, &CompanionReport { sent: 7, received: 8, refused: 9 });
        let values: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(values, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("meshline_")));
    }
}
