"""Which guides there are, in which order and group, and what each client wants to be told. Pure.

A new guide is a line here and a template in `templates/portal/guides/`. Called by views alone.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

READ, CHAT, TRANSLATE, CODE, OTHER = "read", "chat", "translate", "code", "other"
GROUPS: dict[str, Promise] = {
    READ: _("Read this first"),
    CHAT: _("Chat"),
    TRANSLATE: _("Translate"),
    CODE: _("Write code"),
    OTHER: _("Other"),
}


@dataclass(frozen=True)
class Guide:
    """A page that says what goes where in one client.

    `key_field` and `address_field` are that client's own words for the two things to fill in;
    `suffix` is what it wants behind the address. `importer` names its link in `import.js`. `family`
    is how the names of its vendor's models begin.
    """

    slug: str
    group: str
    name: str | Promise
    summary: Promise
    key_field: str | Promise = ""
    address_field: str | Promise = ""
    suffix: str = ""
    importer: str = ""
    family: str = ""

    @property
    def template(self) -> str:
        """Return the page."""
        return f"portal/guides/{self.slug}.html"


GUIDES = (
    Guide("what-is-an-api", READ, _("What is an API?"), _("For those who know the web chat")),
    Guide(
        "api-or-subscription",
        READ,
        _("API or subscription?"),
        _("What a chat subscription gives and what a key gives, side by side"),
    ),
    Guide(
        "chatbox",
        CHAT,
        "Chatbox",
        _("Windows, macOS, Linux, iPhone, Android and the web"),
        key_field=_("API key"),
        address_field=_("API host"),
        importer="chatbox",
    ),
    Guide(
        "cherry-studio",
        CHAT,
        "Cherry Studio",
        _("Windows, macOS and Linux; many models side by side"),
        key_field=_("API key"),
        address_field=_("API address"),
        importer="cherry-studio",
    ),
    Guide(
        "nextchat",
        CHAT,
        "NextChat",
        _("In the browser, nothing to install"),
        key_field="API Key",
        address_field=_("Endpoint"),
        importer="nextchat",
    ),
    Guide(
        "lobechat",
        CHAT,
        "LobeChat",
        _("In the browser, with agents and files"),
        key_field="API Key",
        address_field=_("API proxy URL"),
        suffix="/v1",
        importer="lobechat",
    ),
    Guide(
        "immersive-translate",
        TRANSLATE,
        _("Immersive Translate"),
        _("Browser extension: both languages on one page"),
        key_field="APIKEY",
        address_field=_("Custom API address"),
        suffix="/v1/chat/completions",
    ),
    Guide(
        "openai-translator",
        TRANSLATE,
        "OpenAI Translator",
        _("Select words anywhere, read them in your language"),
        key_field="API Key",
        address_field="API URL",
    ),
    Guide(
        "claude-code",
        CODE,
        "Claude Code",
        _("Anthropic's agent in the terminal, and the anthropic library"),
        key_field="ANTHROPIC_API_KEY",
        address_field="ANTHROPIC_BASE_URL",
        family="claude-",
    ),
    Guide(
        "codex",
        CODE,
        "Codex",
        _("OpenAI's agent in the terminal"),
        key_field="env_key",
        address_field="base_url",
        suffix="/v1",
        family="gpt-5",
    ),
    Guide(
        "gemini",
        CODE,
        "Gemini",
        _("Gemini CLI, and the google-genai library"),
        key_field="GEMINI_API_KEY",
        address_field="GOOGLE_GEMINI_BASE_URL",
        family="gemini-",
    ),
    Guide(
        "openai",
        CODE,
        _("The openai library"),
        _("Python and Node, today's version and 0.28"),
        key_field="api_key",
        address_field="base_url",
        suffix="/v1",
    ),
    Guide(
        "langchain",
        CODE,
        "LangChain",
        _("Chains and agents in Python"),
        key_field="api_key",
        address_field="base_url",
        suffix="/v1",
    ),
    Guide(
        "curl",
        CODE,
        "curl",
        _("On the command line, with nothing in between"),
        key_field=_("API key"),
        address_field=_("Address"),
        suffix="/v1",
    ),
    Guide(
        "vpet",
        OTHER,
        "VPet",
        _("A desktop pet that talks"),
        key_field="API KEY",
        address_field="API URL",
        suffix="/v1/chat/completions",
    ),
)
BY_SLUG = {guide.slug: guide for guide in GUIDES}


def grouped() -> list[tuple[Promise, list[Guide]]]:
    """Return the guides under the names of their groups."""
    return [
        (name, [guide for guide in GUIDES if guide.group == group])
        for group, name in GROUPS.items()
    ]
