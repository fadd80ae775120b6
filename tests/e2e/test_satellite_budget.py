"""The budget of a satellite link: what it forbids is not spent, and its last part is there for an alarm."""
import tap
from processes import wait_until
from satellite import SatellitePair
from tap import case, check, check_equal


@case("an alarm passes where the budget holds all others back, and not a credit more is spent")
def _(world):
    hub_name = world.site_name("hub")
    pair = SatellitePair(world, edge={
        "link sky": {"budget": "40/day, 30%", "hold": "2s"},
        "route alarm": {"peer": hub_name, "topics": "alarm/#", "priority": "alarm"}})
    hub, edge = pair.hub_client("up/#", "alarm/#"), pair.edge_client()
    edge.publish("up/first", "here")
    hub.wait_payload("here")
    for i in range(20):  # each more than a credit, and all of them more than there are
        edge.publish(f"up/{i}", f"{i} " + world.random.randbytes(60).hex())
    pair.sky.wait(lambda r: sum(m["counts"].get("credits", 0) for m in r["modems"].values()) >= 20, "most of it is spent")
    wait_until(lambda: "budget" in str(pair.edge.status()), "the edge says that it waits for the budget")
    edge.publish("alarm/water", "rises")
    hub.wait_payload("rises")
    credits = pair.sky.credits()
    check(credits <= 40, "credits", credits)
    status = pair.edge.status()
    check(status["peers"][0]["queue"]["messages"] > 0, "the others wait for the next day", status["peers"][0])
    pair.sky.check_conduct()


if __name__ == "__main__":
    tap.main()
