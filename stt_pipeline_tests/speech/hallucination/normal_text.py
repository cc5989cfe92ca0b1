"""Normal text without hallucinations: the samples, sentences of the demo model's grammar, invented meetings."""

import json
from collections.abc import Iterator
from random import Random

from stt_pipeline_tests.conftest import SAMPLES
from tools.demo_model.grammar import draw_sentence, templates

DENSE_KOREAN = """
네 그러면 지난주에 말씀드렸던 신규 서비스 출시 일정부터 다시 한번 확인을 해 보도록 하겠습니다. 지금 개발팀에서 올라온
내용을 보면 결제 모듈 연동이 아직 끝나지 않은 상태라서 원래 목표로 했던 다음 달 십오일 출시는 조금 어려울 것 같다는
의견이 있었고요, 그래서 저희가 생각한 대안은 두 가지인데 하나는 결제 기능을 빼고 먼저 베타로 여는 것이고 다른 하나는
전체 일정을 이 주 정도 미루는 겁니다. 저는 개인적으로 베타를 먼저 여는 쪽이 낫다고 생각합니다. 왜냐하면 어차피 초기
사용자들한테 피드백을 받아야 되는데 결제는 그 다음에 붙여도 크게 문제가 없거든요. 그래서 그래서 제가 그 부분은 뭐냐면
어 일단은 일단은 확인을 좀 해 봐야 될 것 같고요 그게 그니까 작년에도 그랬고 재작년에도 그랬는데 항상 연말이 되면 예산이
남아 가지고 급하게 집행하는 경우가 있었거든요. 네 네 네 네 알겠습니다. 아니 아니 아니 그게 아니라, 맞아요 맞아요 맞아요.
서버 쪽은 어떻습니까, 지난번에 부하 테스트 했을 때 동시 접속 삼천 명에서 응답 시간이 많이 느려졌다고 했었는데 그 원인은
찾으셨나요. 데이터베이스 인덱스가 하나 빠져 있었던 게 원인이었고 지금은 수정을 해서 만 명까지도 평균 이백 밀리초 안에
들어오는 걸 확인했습니다. API 서버하고 Kubernetes 클러스터는 그대로 두고 CI 파이프라인만 GitHub Actions로 옮기겠습니다.
하하하하하하 정말요? 예산은 2,450만 원에서 3,000만 원으로, 기간은 2026년 1월 1일부터 2026년 12월 31일까지입니다.
"""

ENGLISH = """
So I had a look at the numbers from last quarter, and I think what we are seeing is that the people who came in through the
partner programme stay a lot longer than the ones who just signed up on the web site, which is sort of what we had hoped for.
I know, I know, I know, it is not a fair comparison, because the partners do most of the training themselves. What I would
like to do is to take fifty accounts from each side, the same size and the same country, and follow them for three months.
Yeah, yeah, yeah, no, that makes sense. And we would have to tell legal, and we would have to tell the people in Lisbon, and
we would have to write it down somewhere, so that in a year somebody remembers why on earth we did that.
"""


def sentences() -> list[str]:
    """Return some 600 single sentences."""
    random = Random(3)
    drawn = [
        draw_sentence(random, language, random.choice(templates(language))).written
        for language in ("ko", "en")
        for _ in range(200)
    ]
    return [sentence for text in _samples() for sentence in text] + drawn


def substrings() -> Iterator[str]:
    """Yield a few thousand substrings of normal text, of 5 to 400 characters."""
    for text in [" ".join(sentence) for sentence in _samples()] + [DENSE_KOREAN, ENGLISH]:
        flat = " ".join(text.split())
        for length in (5, 12, 25, 40, 60, 90, 130, 180, 250, 400):
            for start in range(0, max(1, len(flat) - length), max(7, length // 3)):
                yield flat[start : start + length].strip()


def _samples() -> list[list[str]]:
    return [
        [segment["text"] for segment in json.loads(path.read_text(encoding="utf-8"))["segments"]]
        for path in sorted((SAMPLES / "reference").glob("*.json"))
    ]
