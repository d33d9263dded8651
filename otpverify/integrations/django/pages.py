"""What every page of a flow has: its address, its protection, its notice, its template."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.forms import BaseForm
from django.http import (
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from otpverify.integrations.django.asking import Step, answer
from otpverify.integrations.django.session import Kept, Said
from otpverify.integrations.web import steps


class PageView(FormView):  # type: ignore[type-arg]  # generic in the stubs alone
    """One page of a flow; `step` says which.

    Attributes:
        flow: The flow's name, in addresses and in the session.
        public: Whether it is for people who are not signed in, where all others must be.
        pages: Its pages, and where each is below the first.
        titles: What their headings say.
    """

    flow: ClassVar[str]
    public: ClassVar[bool] = False
    pages: ClassVar[dict[str, str]] = {"first": ""}
    titles: ClassVar[dict[str, Any]] = {}
    step = "first"
    http_method_names = ["get", "post", "head", "options"]  # noqa: RUF012 - as Django has it

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, protected as its pages need it."""
        if initkwargs.get("step", cls.step) not in cls.pages:
            raise TypeError(f"{cls.__name__} has these steps: {', '.join(cls.pages)}.")
        view = csrf_protect(never_cache(sensitive_post_parameters()(super().as_view(**initkwargs))))
        return login_not_required(view) if cls.public else view

    @classmethod
    def urls(cls, **initkwargs: Any) -> list[URLPattern]:
        """All pages of the flow, for a list of URL patterns."""
        return [
            path(
                f"{cls.flow}/{end}",
                cls.as_view(step=step, **initkwargs),
                name=cls.url_name(step),
            )
            for step, end in cls.pages.items()
        ]

    @classmethod
    def url_name(cls, step: str) -> str:
        """What the URL pattern of a page is called."""
        return cls.flow if step == "first" else f"{cls.flow}-{step}"

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """See `View`."""
        super().setup(request, *args, **kwargs)
        self.kept = Kept(request, self.flow)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """See `View`. A parent's decorators stand in `as_view`, where they suit both colours."""
        return View.dispatch(self, request, *args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show a page."""
        return self.sealed(self.show())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take a form."""
        return self.sealed(answer(self.take()))

    def show(self) -> HttpResponseBase:
        """The page of this step."""
        show = getattr(self, f"show_{self.step}", None)
        # What only takes forms has no page of its own.
        return show() if show is not None else self.go("code")

    def take(self) -> Step:
        """What the form of this step asks for."""
        take = getattr(self, f"take_{self.step}", None)
        if take is None:
            return HttpResponseNotAllowed(["GET"])
        return take()  # type: ignore[no-any-return]  # one of those below

    def sealed(self, response: HttpResponseBase) -> HttpResponseBase:
        """The reply, whose address goes to no other site."""
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

    def address(self, step: str) -> str:
        """Where a page of this flow is, beside this one."""
        name = f"{self._namespace}{self.url_name(step)}"
        return reverse(name, args=self.args if not self.kwargs else None, kwargs=self.kwargs)

    def go(self, step: str) -> HttpResponseBase:
        """Go to a page of this flow."""
        return HttpResponseRedirect(self.address(step))

    def follow(self, follows: steps.Next, typed: str = "") -> HttpResponseBase:
        """Keep what an outcome leaves, and go where it leads."""
        self.kept.pending = follows.pending
        return self.tell(follows.page.value, follows.notice, typed)

    def tell(self, step: str, notice: steps.Notice | None, typed: str = "") -> HttpResponseBase:
        """Go to a page that says something."""
        self.kept.say(None if notice is None else Said.of(notice, typed), step)
        return self.go(step)

    def render_form(
        self,
        templates: list[str],
        form: BaseForm | None = None,
        notice: Said | None = None,
        **context: Any,
    ) -> HttpResponseBase:
        """A page. A notice about a field of the form stands beside it, any other above."""
        if notice is not None and form is not None and notice.field in form.fields:
            blame(form, notice)
            context["wait"], notice = notice.wait, None
        context = {
            "title": self.titles.get(self.step, ""),
            "form": form,
            "notice": notice,
            "links": {step: self.address(step) for step in self.pages},
            "style": self.beside("asset", name="otpverify.css"),
            "script": self.beside("asset", name="otpverify.js"),
            **context,
        }
        return self.response_class(
            request=self.request,
            template=templates,
            context=self.get_context_data(**context),
            using=self.template_engine,
        )

    def render_to_response(self, context: Any, **response_kwargs: Any) -> Any:
        """See `TemplateResponseMixin`: a form that is not valid is shown again."""
        return self.render_form(self.get_template_names(), context.get("form"))

    def beside(self, page: str, **kwargs: str) -> str:
        """Where another page is that is mounted with this one, or with
        `otpverify.integrations.django.urls`; empty if it is not."""
        for namespace in (self._namespace, "otpverify:"):
            try:
                return reverse(f"{namespace}{page}", kwargs={**self.kwargs, **kwargs})
            except NoReverseMatch:
                continue
        return ""

    @property
    def _namespace(self) -> str:
        match = self.request.resolver_match
        return f"{match.namespace}:" if match is not None and match.namespace else ""


def blame(form: BaseForm, notice: Said) -> None:
    """Show an error beside a field of a form that was not sent."""
    form.is_bound, form.data = True, {form.add_prefix(k): v for k, v in form.initial.items()}
    form.errors.clear()
    form.add_error(notice.field, notice.text)
