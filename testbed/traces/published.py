"""Public recordings: where their authors published them, under what terms, and what they must be.

A table, no data. The checksums are of the files as they were published; whether a file may be
redistributed is its source's to say, so it is fetched from there by whoever needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

_UNSTATED = "not stated"
_GPL = "repository GPL-3.0, nothing separate about the data"


@dataclass(frozen=True)
class Published:
    """One recording.

    Args:
        name: What users call it: family and file.
        sha256: Of the file as published.
        page: Where people read about it.
        licence: As the source states it.
        url: The file itself; None where it must be taken out of an archive, or where its address
            is not known for certain: then the user puts it into the cache.
        hint: How to come by the file where `url` is None.
    """

    name: str
    sha256: str
    page: str
    licence: str
    url: str | None = None
    hint: str = ""


def _github(repository: str, commit: str, path: str) -> str:
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{quote(path)}"


def _family(
    family: str, repository: str, licence: str, files: dict[str, tuple[str, str, str]]
) -> list[Published]:
    """Return the entries of one repository: file -> (commit, path in the repository, sha256)."""
    page = f"https://github.com/{repository}"
    return [
        Published(
            f"{family}/{file}", sha256, page, licence, _github(repository, commit, folder + file)
        )
        for file, (commit, folder, sha256) in files.items()
    ]


_ARTIFACT = "SIGCOMM21-5G/artifact"
_POWER = "Power-Model/MN-Wild/data-processed/merged-logs/"
_LUMOS = "Video-Streaming/Network-Traces/Lumous5G/"
_PINGS = "trace_data/5Gophers-v1.0/mmWave-only/04-Ping-Traces (Latency Tests)/"

_ENTRIES = [
    *_family(
        "mahimahi",
        "ravinet/mahimahi",
        _GPL,
        {
            "ATT-LTE-driving-2016.down": (
                "524fe6bda7ebe94de98d00fdbe5bf61df7a3b2d4",
                "traces/",
                "24a40538340de991e0a6595aefc381b11a3da0446176e69b51750707a57b0344",
            ),
            "ATT-LTE-driving-2016.up": (
                "cb0e884b107de6958cdf7d04a96e46051b5a0d13",
                "traces/",
                "ebb3d53674b77be4ed920ad91c4513a496e04e30da839e2ca8a627cb7269071e",
            ),
            "ATT-LTE-driving.up": (
                "1a775777d2f8e667c59447bf0ff268178b6ff4ad",
                "traces/",
                "d58a640b9bccd131a421bff6eaf727aba324d9258b35009655bbf68e087b9b29",
            ),
            "TMobile-LTE-short.down": (
                "c0613183586e6c71b7e13eb55cdd6aa1129bc882",
                "traces/",
                "4f33dce8dd811b5702272af64aaf64d3913719919abd776edf1e0f7c0965da43",
            ),
            "Verizon-LTE-short.down": (
                "1a775777d2f8e667c59447bf0ff268178b6ff4ad",
                "traces/",
                "c918436fbd6246af134c76585d9395881fdd27203c59a8902b9a7c675b8a8e3e",
            ),
            "Verizon-LTE-short.up": (
                "1a775777d2f8e667c59447bf0ff268178b6ff4ad",
                "traces/",
                "f6cd9049f58d70f12545772a3482ded085b6d50f06a2f4ff4afcfb6fe7976dcc",
            ),
            "orange-4G-traces-A-up.pps": (
                "f2d65d5cbb25742a021dbf9068c9d3974a1fca03",
                "traces/orange-traces/",
                "de3d8191646793b34d140f5b401907fc321be6d335c814332b4406970a14abfd",
            ),
        },
    ),
    *_family(
        "ghent_4g",
        "mamtech-A/PointCloudStreaming",
        _UNSTATED,
        {
            "report_car_0003.log": (
                "HEAD",
                "data/bandwidth/",
                "d493c6879dcd84042520e5a47e029fe684f0f10990a992736b18c98757ed31bf",
            ),
            "report_foot_0006.log": (
                "HEAD",
                "data/bandwidth/",
                "8bde2f41b7a61fb6c258b812d3ad0e803b24b2ab82d7bd10eddf2224d848eb5e",
            ),
        },
    ),
    *_family(
        "sabre_json",
        "UMass-LIDS/sabre",
        "BSD-2-Clause; the measurement is Ghent's, not stated",
        {
            "report_train_0003.json": (
                "HEAD",
                "example/mmsys18/4Glogs/",
                "21bb2c6c628e3a6fdad972dea83cd6951fe56775310e30a43bcb3d7fff423fca",
            ),
        },
    ),
    *_family(
        "pensieve_cooked",
        "thu-media/Comyco",
        "BSD-2-Clause around data of Telenor 3G and the FCC",
        {
            "bus.ljansbakken-oslo-report.2010-09-28_1407CEST.log": (
                "fc34f062667c07fa2f1baf35b97734bdfac51975",
                "src/cooked_traces/",
                "976cf4298c9105e1b001cc82e23ca5bcfc1298120c68437803a5b4f13054bc18",
            ),
            "norway_train_8": (
                "fc34f062667c07fa2f1baf35b97734bdfac51975",
                "src/cooked_test_traces/",
                "c4b3ea42f2ce9e64d5b90b3011d775e3099260328df9e3af45a5c639ecb78475",
            ),
            "trace_28838_http---www.amazon.com": (
                "fc34f062667c07fa2f1baf35b97734bdfac51975",
                "src/cooked_traces/",
                "cf85f8bdd9e68dbdb1b35927d8460b3ebcd9597b6f82a9c2ee61f88fbd0709b3",
            ),
        },
    ),
    *_family(
        "ucc_4g",
        "uccmisl/goDASHbed",
        _GPL,
        {
            "4G_A_2018.01.27_13.58.29.csv": (
                "bb43b3cd2e45ab32c1b8d6680569ac681be20896",
                "traces/",
                "b0ae7144d1fb0dfef95b2de49fac181d6ca732d0ea7d6833be5295bbc4fd7781",
            ),
        },
    ),
    *_family(
        "nyu_mets",
        "NYU-METS/Main",
        "ODbL 1.0, contents DbCL 1.0",
        {
            "7Train1.csv": (
                "d1ea684df29a4381d34e92e0d8df2d14588bebd0",
                "Sample_Traces/",
                "0530c6e75b33a19084faee2694dfa376588f2f48affddb0ad0ffcdba4622b487",
            ),
            "bus62_2.csv": (
                "1f5776d3404393734ebd299b8e07f2b40c135bd0",
                "Sample_Traces/",
                "e490a6bc6f3ce34d1bca16f22c898b169ccd487003c49481f699a46b8d024c0f",
            ),
        },
    ),
    *_family(
        "lumos5g",
        _ARTIFACT,
        "artifact not stated; Lumos5G 1.0 is CC BY 4.0",
        {
            "4g_trace_walking_50050_a": (
                "e19113a674a267a0bf37cd52023bddc2a0cadc52",
                _LUMOS + "4G/",
                "455e47e6c2f4727d425d75c65fd17116238842d520e23580d364525a15a7a85e",
            ),
            "5g_trace_12_walking": (
                "4dfb09efc3395a921910828508fe0a0e7c4519ba",
                _LUMOS + "5G/",
                "22cbed02fc5da597db118b45d3c8dd070939c0db26fc8f6a3b1837326b513dcb",
            ),
            "5g_trace_23_driving": (
                "4dfb09efc3395a921910828508fe0a0e7c4519ba",
                _LUMOS + "5G/",
                "c4200e4bc6349fc764471efd82955b2a71596858996fb97950bb0e28209a09f0",
            ),
        },
    ),
    *_family(
        "5g_wild_power",
        _ARTIFACT,
        _UNSTATED,
        {
            "S20UPM-run123.csv": (
                "HEAD",
                _POWER,
                "5d12495e869eaf43fffe9495365ca08da33342352932fdf8f5f4b36dda7ca2ed",
            ),
            "S20UPM-run20070.csv": (
                "HEAD",
                _POWER,
                "ba58df3f9c023dbe11ee17dd78c062792afcb4c75c727ab7aabba43da0eda841",
            ),
            "S20UPM-run69.csv": (
                "5a4567a4d0c149d303a44bc9573c5fb3b756b6a3",
                _POWER,
                "10224c32c221bb2382fe9f8db76b2f8174e2554cac06014e6d4e4445e53e49fa",
            ),
        },
    ),
    *_family(
        "5gophers",
        "jhzuo/Offloading-FL",
        "CC BY 4.0",
        {
            "car-driving-trace-1.csv": (
                "6f5bff0dd9c1a9c601a023d8d738e5508cf243db",
                "trace_data/5Gophers-v1.0/All-Carriers/03-User-Mobility/",
                "497bbf3c379d08501fb121c0125ba3008c93ec620e6706440d38490f402230ce",
            ),
            "ping-trace-03.log": (
                "6f5bff0dd9c1a9c601a023d8d738e5508cf243db",
                _PINGS,
                "411c5dce15c6e9e60355f4ae7a414c0762d34faebfb416992521d07526f3ae7a",
            ),
            "ping-trace-17.log": (
                "6f5bff0dd9c1a9c601a023d8d738e5508cf243db",
                _PINGS,
                "f4eb8567d0437a1ddb2f52c2cb71a6dba474779db07632eb298eb2808186afb7",
            ),
        },
    ),
    *_family(
        "wifi_solis",
        "GreenLv/Solis-WiFi-Trace",
        "MIT",
        {
            "wifi_cafe_231115-154511.txt": (
                "fc76eccfefba9a174a8e16270b63f3818bf14b9c",
                "traces/",
                "deaf1a9d704474eea1fa37a65b0ae81d18af33eb3983584036b2c3e1d94c5dbf",
            ),
            "wifi_campus_231115-203027.txt": (
                "fc76eccfefba9a174a8e16270b63f3818bf14b9c",
                "traces/",
                "4a727dc8ec39da2da5eb54a5b3269e1df55ae55c4e0ef07ef1d27fb9360ac462",
            ),
            "wifi_office_231115-145110.txt": (
                "fc76eccfefba9a174a8e16270b63f3818bf14b9c",
                "traces/",
                "4af82954223b72d32b6f47f92e22d30cd3dd740d00dfcd0b14eeca9bc986104d",
            ),
        },
    ),
    *_family(
        "wifi_cellular_pairs",
        "aydini/Multipath-Wireless-Link-Traces",
        _UNSTATED,
        {
            "11_4_cellular.csv": (
                "HEAD",
                "Traces/",
                "b2a4495c2da34cc2298b011e1a3e9eed5be43a27ff32b8d8eb9271f0b9524d20",
            ),
            "11_4_wifi.csv": (
                "HEAD",
                "Traces/",
                "072b13471671d13d675c04c49ef31dabf664b0848f139f4472268e18a5e5fbce",
            ),
            "8_5_cellular.csv": (
                "HEAD",
                "Traces/",
                "beafa20511c1af1fc1fdb2deba7e41cf2247d643d6cbb87c36e4ab6221b600cd",
            ),
            "8_5_wifi.csv": (
                "HEAD",
                "Traces/",
                "2a77f6b649266654bcfae2f72beb26b5649a394582b1a9f26f40f4ad7180b946",
            ),
        },
    ),
    *_family(
        "iperf3",
        _ARTIFACT,
        _UNSTATED,
        {
            "APPLE-run10045-udp-loc5-600m-1-iPerf.json": (
                "HEAD",
                "Data-Transfer-Power/MI-Transfer/data/",
                "6dcfe72156062908338565bdef94e4ebd4af6b3aab386ddd85e23ada501e2876",
            ),
            "PXBMN-run60262-iPerf.json": (
                "4114cfc1c946ee8a52d2f2febe5e5d8ca7b8f17c",
                "TCP-Single-Conn-Perf/data/client/",
                "063e851c501b1be2bd955a13c90cffe01ae9dfdaa3b53e1d5967cfd1c79405e5",
            ),
            "PXBMN-run60274-iPerf.json": (
                "7bf2617be114718cd2e065276ce9aba0e198bd58",
                "TCP-Single-Conn-Perf/data/client/",
                "01333a0d7b2f4d8daf7a5ca5dd6856df4bc6ab03da7329b3ab9ff026e1528d1f",
            ),
        },
    ),
    *_family(
        "rrc_probe",
        _ARTIFACT,
        _UNSTATED,
        {
            "S20US_TMobile_SA.csv": (
                "HEAD",
                "RRC-Probe/data/",
                "7352a25e04a7c5fc65bea98e463477c02ec04356a10fca0be74cf07796b533e6",
            ),
        },
    ),
    Published(
        "ucc_5g/Download_Driving_B_2019.12.14_10.16.30.csv",
        "82bc32451477cfb0a6c2dd02400cf8f9dba0b30a18654e3366e319f5db61a551",
        "https://github.com/uccmisl/5Gdataset",
        _GPL,
        hint="in 5G-production-dataset.zip as Download/Driving/B_2019.12.14_10.16.30.csv",
    ),
    Published(
        "ucc_5g/Download_Static_B_2020.02.14_13.21.26.csv",
        "b8c494344734ff2dc34dd52a7833db96e9fc423731080b5a04e61058d8ad584b",
        "https://github.com/uccmisl/5Gdataset",
        _GPL,
        hint="in 5G-production-dataset.zip as Download/Static/B_2020.02.14_13.21.26.csv",
    ),
    Published(
        "oboe/trace_0.txt",
        "b4593c400dfc92dfa4023ccb2c47456a1862bdf9c0cfb30adc38797766485006",
        "https://github.com/USC-NSL/Oboe",
        _UNSTATED,
        hint="trace_0.txt among its traces",
    ),
    Published(
        "cicv5g_delay/south_n8_v10_04.txt",
        "890c3e4262dd8b397ef5b0460775edfa871e53181ff823fcfb687b227bac7359",
        "https://doi.org/10.5281/zenodo.17475688",
        "CC BY 4.0",
        hint="the file of that name",
    ),
    Published(
        "cicv5g_delay/urban_n78_v30_run01.txt",
        "5ad690acce404f87308f8ca4366b1ad5e2b646ab64bd910788313f47384fd60f",
        "https://doi.org/10.5281/zenodo.17475688",
        "CC BY 4.0",
        hint="the file of that name",
    ),
]

PUBLISHED: dict[str, Published] = {entry.name: entry for entry in _ENTRIES}
"""Every recording by name."""
