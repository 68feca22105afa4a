"""Finish, opened as people open it: nothing yet, a proposal, accepted, taken back."""

from benchmarks.made_up import Size
from tests.pages.looking import made_up, open_page, sure_of_all, texts
from tidal_core.rounds.finishing import standing
from tidal_core.server.studio import Studio
from tidal_core.ui import finish_view

LARGE = Size(labelled=40, pool=60, test=200, rounds=2, epochs=5)


def test_a_collection_is_finished_and_taken_back(studio: Studio) -> None:
    project = made_up(studio, LARGE)
    sure_of_all(project)
    state = standing(project)
    assert state is not None
    test = open_page("finish")
    assert f"The model can label {len(state.image_ids)} images" in texts(test)

    (accept,) = [button for button in test.button if "Accept" in button.label]
    accept.click().run()

    assert not test.exception
    assert project.store.model_answers.images().tolist() == sorted(state.image_ids.tolist())
    assert f"{len(state.image_ids)} images accepted" in texts(test)
    assert not [button for button in test.button if "Accept" in button.label]
    life = open_page("dynamics", image=str(state.image_ids[0]))
    assert "was accepted for it" in texts(life)
    (undo,) = [button for button in test.button if "Take back" in button.label]
    undo.click().run()

    assert not test.exception
    assert not len(project.store.model_answers.images())
    assert "Taken back" in texts(test)
    assert [button for button in test.button if "Accept" in button.label]


def test_a_model_that_is_often_wrong_gets_nothing_and_it_is_said_why(studio: Studio) -> None:
    made_up(studio)
    test = open_page("finish")

    assert "Nothing for the model yet" in texts(test)
    assert not [button for button in test.button if "Accept" in button.label]


def test_marked_images_stay_for_people(studio: Studio) -> None:
    project = made_up(studio, LARGE)
    sure_of_all(project)
    state = standing(project)
    assert state is not None
    test = open_page("finish")
    proposal = finish_view.proposal_of(project, state, 0.95)
    wrong = int(finish_view.finishing.sample(project, state, proposal)[0])
    test.session_state[f"finish-wrong-made-up-{state.round_id}-0.95-{len(state.image_ids)}"] = {wrong}
    test.run()
    (accept,) = [button for button in test.button if "Accept" in button.label]
    accept.click().run()

    assert wrong not in project.store.model_answers.images().tolist()
    assert len(project.store.model_answers.images()) == len(state.image_ids) - 1


def test_without_a_round_it_says_what_is_missing(studio: Studio) -> None:
    made_up(studio, Size(labelled=0, pool=20, test=0, rounds=0, epochs=1))
    assert "the images that the model can label for you" in texts(open_page("finish"))
